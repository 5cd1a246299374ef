"""Lengths of the wires of a placed netlist.

A wire joins the centres of the cells on its net, and the pin of its port, along x and y.
"""

import numpy as np
from numpy.typing import NDArray

from ..mapping.netlist import CONSTANT_NETS, Netlist
from .placement import Placement
from .steiner import Tree, steiner_tree


def pins(netlist: Netlist, placement: Placement) -> dict[str, NDArray[np.float64]]:
    """x and y of the places that each net joins, um: its port's pin first, then each cell once in
    the netlist's order. Constants are no nets.
    """
    places = {net: [place] for net, place in placement.ports.items()}
    for name, cell in netlist.cells.items():
        centre = placement.centre(name, cell.kind)
        for net in dict.fromkeys(cell.pins.values()):
            if net not in CONSTANT_NETS:
                places.setdefault(net, []).append(centre)
    return {net: np.array(places[net]) for net in netlist.nets() if net in places}


def lengths(netlist: Netlist, placement: Placement) -> dict[str, float]:
    """Length of the wire of each net, um: of a Steiner tree."""
    return {
        net: steiner_tree(own).length if len(own) > 3 else _half_perimeter(own)
        for net, own in pins(netlist, placement).items()
    }


def half_perimeters(netlist: Netlist, placement: Placement) -> dict[str, float]:
    """Half the perimeter of the box around each net, um: at most the length of its wire."""
    return {net: _half_perimeter(own) for net, own in pins(netlist, placement).items()}


def trees(netlist: Netlist, placement: Placement) -> dict[str, Tree]:
    """The wires themselves: points in um, those of `pins` first, and edges between them."""
    return {net: steiner_tree(own) for net, own in pins(netlist, placement).items()}


def _half_perimeter(places: NDArray[np.float64]) -> float:
    """The length itself of up to three places."""
    return float(np.ptp(places, axis=0).sum())
