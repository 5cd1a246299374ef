"""A layout as files that place and route tools read: DEF, SPEF, SDC, and LibreLane's configuration
with which it routes the same netlist at the same places.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..synth.layout.def_text import def_text
from ..synth.layout.placement import Placement
from ..synth.simulation.portable import LegalNames
from ..synth.timing.spef import spef_text
from .measure import Mapped

_MARGIN_UM = 10.0
"""Around the core, at least; whole sites and rows, as a core's corner is moved to."""


class _Kit(NamedTuple):
    """What the LEF files of a library call the site of its cells and the metal of pins, and how
    LibreLane knows it, "" where it does not.
    """

    site: str
    layer: str
    pdk: str = ""
    cells: str = ""


_KITS = {
    "osu018": _Kit("core", "metal2"),
    "sky130": _Kit("unithd", "met2", "sky130A", "sky130_fd_sc_hd"),
    "sg13g2": _Kit("CoreSite", "Metal2", "ihp-sg13g2", "sg13g2_stdcell"),
    "asap7": _Kit("asap7sc7p5t", "M2"),
}
_UNKNOWN = _Kit("core", "metal2")


def layout_texts(unit: Mapped, names: LegalNames) -> dict[str, str]:
    """Texts by file name; nothing without a layout."""
    own = unit.laid_out
    if own is None:
        return {}
    top, kit = unit.netlist.top, _KITS.get(unit.conditions.pdk.name, _UNKNOWN)
    placed = def_text(unit.netlist, own.placement, names, site=kit.site, layer=kit.layer)
    texts = {
        f"{top}.def": placed,
        f"{top}.spef": spef_text(unit.netlist, unit.library, own.wires_pf(), names),
        f"{top}.sdc": "".join(f"{line}\n" for line in _constraints(unit)),
    }
    if kit.pdk:
        texts["config.json"] = json.dumps(_librelane(unit, names, kit), indent=2) + "\n"
    return texts


def _constraints(unit: Mapped) -> Iterator[str]:
    """Inputs and outputs hang on the clock's tree like the last flop."""
    late = unit.arrivals.latest_ns
    inputs = " ".join(port for port in unit.netlist.inputs if port != unit.clock)
    source = f" [get_ports {{{unit.clock}}}]" if unit.clock else ""
    yield f"create_clock -name clock -period {unit.conditions.clock_ns:.6f}{source}"
    if unit.clock:
        yield "set_propagated_clock [all_clocks]"
    yield f"set_input_delay {late:.6f} -clock clock [get_ports {{{inputs}}}]"
    yield f"set_output_delay {-late:.6f} -clock clock [all_outputs]"


def _librelane(unit: Mapped, names: LegalNames, kit: _Kit) -> dict[str, Any]:
    """The netlist is mapped and has its tree: nothing is synthesized, resized or buffered."""
    assert unit.laid_out is not None
    top, placement = unit.netlist.top, unit.laid_out.placement
    sdc = f"dir::{top}.sdc"
    left, low = _corner(placement)
    right, high = left + placement.width_um, low + placement.height_um
    return {
        "meta": {"version": 2, "flow": "Classic"},
        "PDK": kit.pdk,
        "STD_CELL_LIBRARY": kit.cells,
        "DESIGN_NAME": top,
        "VERILOG_FILES": [f"dir::{top}.v"],
        "SYNTH_ELABORATE_ONLY": True,
        "CLOCK_PORT": unit.clock,
        "CLOCK_PERIOD": round(unit.conditions.clock_ns, 6),
        "PNR_SDC_FILE": sdc,
        "SIGNOFF_SDC_FILE": sdc,
        "FP_SIZING": "absolute",
        "DIE_AREA": [0, 0, round(right + left, 3), round(high + low, 3)],
        "CORE_AREA": [left, low, round(right, 3), round(high, 3)],
        "MANUAL_GLOBAL_PLACEMENTS": _places(placement, names),
        "RUN_LINTER": False,
        "RUN_CTS": False,
        "RUN_POST_GPL_DESIGN_REPAIR": False,
        "RUN_POST_CTS_RESIZER_TIMING": False,
    }


def _corner(placement: Placement) -> tuple[float, float]:
    """The core's lower left one in the die."""
    steps = placement.site_um, placement.row_um
    left, low = (round(math.ceil(_MARGIN_UM / step) * step, 3) for step in steps)
    return left, low


def _places(placement: Placement, names: LegalNames) -> dict[str, Any]:
    """Where each cell is in the die."""
    left, low = _corner(placement)
    return {
        names.cells[name]: {
            "location": [round(x + left, 3), round(y + low, 3)],
            "orientation": "N",
        }
        for name, (x, y) in placement.cells.items()
    }
