"""Netlists from Yosys JSON."""

import json

import pytest

from mlsmac.synth.mapping.netlist import Cell, parse_yosys_json, verilog_to_json
from mlsmac.synth.mapping.verilog import to_verilog


def _module(**changes):
    module = {
        "attributes": {"top": "00000001"},
        "ports": {
            "a": {"direction": "input", "bits": [2, 3]},
            "y": {"direction": "output", "bits": [4, "1"]},
        },
        "cells": {
            "g0": {"type": "NAND2", "connections": {"A": [2], "B": [3], "Y": [5]}},
            "g1": {"type": "NAND2", "connections": {"A": [5], "B": ["0"], "Y": [4]}},
            "g2": {"type": "DFF", "connections": {"D": [5], "C": [3], "Q": [6], "QN": []}},
            "note": {"type": "$scopeinfo", "connections": {}},
        },
        "netnames": {
            "$abc$1": {"hide_name": 1, "bits": [5]},
            "part.z": {"hide_name": 0, "bits": [5]},
            "z": {"hide_name": 0, "bits": [5]},
            "w": {"hide_name": 0, "bits": [3, 2]},
            "a": {"hide_name": 0, "bits": [2, 3]},
            "y": {"hide_name": 0, "bits": [4, "1"]},
        },
    }
    return {**module, **changes}


def _parse(module, **others):
    return parse_yosys_json(json.dumps({"modules": {"unit": module, **others}}))


def test_cells_pins_and_ports():
    netlist = _parse(_module())
    assert netlist.top == "unit"
    assert netlist.inputs == {"a": ["a[0]", "a[1]"]}
    assert netlist.outputs == {"y": ["y[0]", "1'1"]}
    assert list(netlist.cells) == ["g0", "g1", "g2"]
    assert netlist.cells["g0"] == Cell("g0", "NAND2", {"A": "a[0]", "B": "a[1]", "Y": "z"})
    assert netlist.cells["g1"].pins == {"A": "z", "B": "1'0", "Y": "y[0]"}


def test_open_pins_and_nameless_nets():
    assert _parse(_module()).cells["g2"].pins == {"D": "z", "C": "a[1]", "Q": "$bit6"}


@pytest.mark.parametrize(
    ("declared", "names"),
    [({"offset": 4}, ["w[4]", "w[5]"]), ({"upto": 1, "offset": 1}, ["w[2]", "w[1]"])],
)
def test_vector_ranges(declared, names):
    netnames = {"w": {"hide_name": 0, "bits": [2, 3], **declared}}
    pins = _parse(_module(netnames=netnames)).cells["g0"].pins
    assert [pins["A"], pins["B"]] == names


def test_black_boxes_are_not_the_top():
    module = _module(attributes={})
    assert _parse(module, NAND2=_module(attributes={"blackbox": "1"})).top == "unit"


def test_refuses_two_tops():
    with pytest.raises(ValueError, match=r"must have one top module, not \['other', 'unit'\]"):
        _parse(_module(), other=_module())


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        (["x"], "pin A of g0 must be connected to a net, 0 or 1, not 'x'"),
        ([2, 3], "pin A of g0 must have one bit, not 2"),
    ],
)
def test_refuses_connections(bits, message):
    cells = {"g0": {"type": "INV", "connections": {"A": bits}}}
    with pytest.raises(ValueError, match=message):
        _parse(_module(cells=cells))


def test_refuses_inout():
    ports = {"a": {"direction": "inout", "bits": [2]}}
    with pytest.raises(ValueError, match="port a must be input or output, not 'inout'"):
        _parse(_module(ports=ports))


def _part():
    """An inverter, with its input, and a constant, on outputs as well."""
    return {
        "attributes": {},
        "ports": {
            "i": {"direction": "input", "bits": [2]},
            "o": {"direction": "output", "bits": [3]},
            "through": {"direction": "output", "bits": [2, "1"]},
        },
        "cells": {
            "g0": {"type": "INV", "connections": {"A": [2], "Y": [4]}},
            "g1": {"type": "INV", "connections": {"A": [4], "Y": [3]}},
        },
        "netnames": {"n0": {"hide_name": 0, "bits": [4]}},
    }


def _of_parts():
    """Two parts, the second behind the first."""
    first = {"i": [2], "o": [3], "through": [4, 5]}
    second = {"i": [4], "o": [6], "through": [7, 8]}
    return {
        "attributes": {"top": "1"},
        "ports": {
            "a": {"direction": "input", "bits": [2]},
            "y": {"direction": "output", "bits": [6, 7, 5]},
        },
        "cells": {
            "g0": {"type": "NAND2", "connections": {"A": [3], "B": [8], "Y": [9]}},
            "p1": {"type": "part", "connections": second},
            "p0": {"type": "part", "connections": first},
        },
        "netnames": {
            "a": {"hide_name": 0, "bits": [2]},
            "y": {"hide_name": 0, "bits": [6, 7, 5]},
            "middle": {"hide_name": 0, "bits": [3]},
            "behind": {"hide_name": 0, "bits": [9]},
        },
    }


def test_modules_are_flattened():
    netlist = _parse(_of_parts(), part=_part())
    assert list(netlist.cells.items()) == [
        ("g0", Cell("g0", "NAND2", {"A": "middle", "B": "1'1", "Y": "behind"})),
        ("p0.g0", Cell("p0.g0", "INV", {"A": "a", "Y": "p0.n0"})),
        ("p0.g1", Cell("p0.g1", "INV", {"A": "p0.n0", "Y": "middle"})),
        ("p1.g0", Cell("p1.g0", "INV", {"A": "a", "Y": "p1.n0"})),
        ("p1.g1", Cell("p1.g1", "INV", {"A": "p1.n0", "Y": "y[0]"})),
    ]
    assert netlist.inputs == {"a": ["a"]}
    assert netlist.outputs == {"y": ["y[0]", "a", "1'1"]}


@pytest.mark.eda
def test_written_as_verilog(tmp_path):
    netlist = _parse(_of_parts(), part=_part())
    source = tmp_path / "netlist.v"
    source.write_text(to_verilog(netlist))
    again = parse_yosys_json(verilog_to_json(source))
    assert again.cells["p1.g0"].pins == {"A": "a", "Y": "p1.n0"}
    assert again.cells["p1.g1"].pins == {"A": "p1.n0", "Y": "y[0]"}
    assert again.cells["g0"].pins == {"A": "middle", "B": "1'1", "Y": "behind"}
    assert (again.inputs, again.outputs) == (netlist.inputs, netlist.outputs)


@pytest.mark.eda
def test_verilog(tmp_path):
    source = tmp_path / "mapped netlist.v"
    source.write_text(
        "module m(input [1:0] a, output y); wire \\b$1 ;"
        "INV u0(.A(a[1]), .Y(\\b$1 )); INV u1(.A(\\b$1 ), .Y(y)); endmodule\n"
    )
    netlist = parse_yosys_json(verilog_to_json(source))
    assert netlist.cells["u0"] == Cell("u0", "INV", {"A": "a[1]", "Y": "b$1"})
    source.write_text("module m(input a; endmodule\n")
    with pytest.raises(ValueError, match=r"mapped netlist\.v must be a Verilog netlist: .*ERROR"):
        verilog_to_json(source)
