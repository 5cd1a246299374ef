"""Verilog and SystemVerilog as RTLIL: ports, what is refused and how, no trace of where it lay."""

from pathlib import Path

import pytest

from mlsmac.support.errors import UserError
from mlsmac.synth.mapping.elaborate import Port, elaborate

VERILOG = Path(__file__).parents[1] / "data" / "verilog"
TYPES, TYPED = VERILOG / "mac_types.sv", VERILOG / "int8_mac_sv.sv"


def of_text(folder: Path, text: str, name: str = "m.v"):
    """The module `m` of a text."""
    (folder / name).write_text(text)
    return elaborate([folder / name], "m")


def test_ports_of_verilog() -> None:
    assert elaborate([VERILOG / "int8_mac.v"], "int8_mac").ports == {
        "clock": Port("input", 1),
        "clear": Port("input", 1),
        "x": Port("input", 8),
        "y": Port("input", 8),
        "sum": Port("output", 32),
    }


def test_systemverilog_with_a_package() -> None:
    design = elaborate([TYPES, TYPED], "int8_mac_sv")
    assert design.ports["acc_o"] == Port("output", 32)
    assert design.ports["w_i"] == Port("input", 8)


def test_content_alone_decides(tmp_path: Path) -> None:
    """Other folders, a blank in a name, comments: the same; another operator: another."""
    text = (VERILOG / "int8_mac_2.v").read_text()
    folder = tmp_path / "a b"
    folder.mkdir()
    copy = folder / "c d.v"
    copy.write_text("// A comment.\n" + text)
    here = elaborate([VERILOG / "int8_mac_2.v"], "int8_mac_2")
    assert elaborate([copy], "int8_mac_2") == here
    copy.write_text(text.replace("acc) +", "acc) -"))
    assert elaborate([copy], "int8_mac_2") != here


@pytest.mark.parametrize(
    ("name", "read"), [("m.v", '`include "inc/two.vh"'), ("m.sv", '`include "inc/two.vh"')]
)
def test_includes_lie_beside_the_file(tmp_path: Path, name: str, read: str) -> None:
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc" / "two.vh").write_text("`define TWO 2\n")
    design = of_text(tmp_path, f"{read}\nmodule m(input [`TWO:0] d); endmodule\n", name)
    assert design.ports == {"d": Port("input", 3)}


def test_what_is_no_hardware_is_left_out(tmp_path: Path) -> None:
    text = (
        "module m(input logic clk, input logic d, output logic q);\n"
        "initial q = 1;\n"
        'always_ff @(posedge clk) begin q <= d; assert (d); $display("d"); end\nendmodule\n'
    )
    kinds = [
        line.split()[1]
        for line in of_text(tmp_path, text, "m.sv").rtlil.splitlines()
        if line.startswith("  cell")
    ]
    assert kinds == ["$dff"]


_HEAD = "module m(input clk, input e, input d, output reg q);\n"
_WIRES = "module m(input clk, input e, input d, output q);\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_HEAD + "q <= d; endmodule", r"m.v:2: syntax error"),
        (_HEAD + "always @* if (e) q = d; endmodule", r"Latch inferred for signal `\m.\q'"),
        (_WIRES + "assign q = d; assign q = e; endmodule", r"conflicting drivers for m.\d"),
        (_WIRES + "wire w; assign q = w & d; endmodule", r"Wire m.\w is used but has no driver"),
        (_WIRES + "wire w = q ^ d; assign q = w & d; endmodule", r"found logic loop in module m"),
        (_WIRES + "other o(d, q); endmodule", r"Module `\other' referenced in module `\m'"),
        (f"{_WIRES}assign q = d; endmodule\n{_WIRES}endmodule", r"Re-definition of module `\m'"),
        ("module n(input d); endmodule", "Module `m' not found"),
        ("module m(inout d); endmodule", "port d of m must be input or output, not inout"),
        (
            _HEAD + "always @(posedge clk or negedge e or posedge d) q <= d; endmodule",
            "Multiple edge sensitive events",
        ),
    ],
)
def test_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        of_text(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "mlsmac-map" not in str(caught.value)


def test_systemverilogs_errors_name_the_file(tmp_path: Path) -> None:
    text = "module m(output logic q);\nassign q = nothing;\nendmodule\n"
    with pytest.raises(UserError, match=r"m\.sv:2: use of undeclared identifier 'nothing'"):
        of_text(tmp_path, text, "m.sv")


def test_files_and_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"verilog must be files, but .*none.v' is none"):
        elaborate([tmp_path / "none.v"], "m")
    with pytest.raises(UserError, match="top must be the name of a module, not 'm;exec'"):
        elaborate([TYPES], "m;exec")


def test_asynchronous_resets_are_refused(tmp_path):
    path = tmp_path / "m.v"
    path.write_text(
        "module m(input clk, input r, input d, output reg q);"
        " always @(posedge clk or negedge r) if (!r) q <= 0; else q <= d; endmodule"
    )
    with pytest.raises(UserError, match=r"m cannot be mapped: registers must have synchronous"):
        elaborate([path], "m")
