"""Netlists from Yosys JSON."""

import json

import pytest

from mlsmac.synth.mapping.netlist import Cell, parse_yosys_json, verilog_to_json


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
