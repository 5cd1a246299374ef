"""PDK look-up: which Liberty files, at which clock, with which reference cells.

A name resolves, in this order, to: its files in the directory named by `MLSMAC_PDK_DIR`, those of
an installed PDK under `PDK_ROOT`, `~/.ciel` or `~/.volare` (the layout of open_pdks and ciel),
Debian's package (osu018). `.gz` files are accepted everywhere.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from ...support.errors import ToolError, UserError
from .cells import LibertyCell
from .library import Files, load, paths
from .roles import check_flops, inverter, nand2, tie

DEFAULT_PDK = "osu018"
PDK_DIR_VARIABLE = "MLSMAC_PDK_DIR"


@dataclass(frozen=True, kw_only=True)
class Pdk:
    """A cell library and the conditions under which every unit is mapped and measured with it.

    `liberty` are its files, one or several; `clock_mhz` is the default clock; `nand2` the cell
    whose area is one gate equivalent; `driver` the cell assumed to drive the inputs and `load_ff`
    the load (fF) on every output while mapping; `dont_use` are glob patterns of cell names that
    mapping must not use; `tie_high` and `tie_low` are (cell, pin), None where constants stay
    constants.

    Of a layout: `row_um` is the height of every cell, `wire_ff_um` the capacitance of a micron of
    wire, None where they are not known; `clock_buffers` are glob patterns of the buffers that a
    clock tree is made of, `clock_gates` of integrated clock gates.
    """

    name: str
    liberty: tuple[Path, ...]
    clock_mhz: float
    nand2: str
    driver: str
    load_ff: float
    dont_use: tuple[str, ...] = ()
    tie_high: tuple[str, str] | None = None
    tie_low: tuple[str, str] | None = None
    row_um: float | None = None
    wire_ff_um: float | None = None
    clock_buffers: tuple[str, ...] = ()
    clock_gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Known:
    """A row of the table: candidate files below a directory (glob patterns, each candidate one set
    of files); advice if none exists, before that of `MLSMAC_PDK_DIR`; how the library is known by
    its content, whatever its files' names and its corner; and the Pdk less its files.

    `mark` is a pattern that cells of the family have, to which the Pdk's `dont_use` applies;
    `nand2_um2` the area of the Pdk's NAND in the very library that the Pdk describes; `node_nm` its
    node, as it is called.
    """

    files: tuple[tuple[str, ...], ...]
    install: str
    mark: str
    nand2_um2: float
    node_nm: float
    pdk: Pdk

    def is_of(self, cells: Mapping[str, LibertyCell]) -> bool:
        """Whether these are the cells of the library that the Pdk describes."""
        ties = {tie[0] for tie in (self.pdk.tie_high, self.pdk.tie_low) if tie}
        if not {self.pdk.nand2, self.pdk.driver, *ties} <= cells.keys():
            return False
        return math.isclose(cells[self.pdk.nand2].area_um2, self.nand2_um2, rel_tol=1e-3)


_SKY130 = "sky130_fd_sc_hd__tt_025C_1v80.lib"
_SG13G2 = "sg13g2_stdcell_typ_1p20V_25C.lib"

# Clocks: 100 MHz where a float32 multiply-add with ripple carries meets it, else what it does meet.
# Loads are about four inverter inputs of the node. Never used: clock and delay cells, three-state
# drivers, level shifters, isolation, scan; ABC would take some of them for plain buffers or gates.
# Rows are as high as in the LEF files. Wires: osu018 by its LEF file's area and two edges of metal,
# within what magic extracts; the others by the public platform files of OpenROAD.
_KNOWN = {
    "osu018": _Known(
        files=(("osu018_stdcells.lib",),),
        install="install the Debian package qflow-tech-osu018, or",
        mark="DFFPOSX1",
        nand2_um2=24,
        node_nm=180,
        pdk=Pdk(
            name="osu018",
            liberty=(),
            clock_mhz=40,
            nand2="NAND2X1",
            driver="INVX4",
            load_ff=20,
            dont_use=("CLKBUF*", "TBUF*"),
            row_um=10.0,
            wire_ff_um=0.115,
            clock_buffers=("BUFX*", "CLKBUF*"),
        ),
    ),
    "sky130": _Known(
        files=(
            (_SKY130,),
            (f"sky130A/libs.ref/sky130_fd_sc_hd/lib/{_SKY130}",),
            (f"sky130B/libs.ref/sky130_fd_sc_hd/lib/{_SKY130}",),
        ),
        install="install it with `ciel enable --pdk-family sky130` (PDK_ROOT tells where), or",
        mark="sky130_fd_sc_*__*",
        nand2_um2=3.7536,
        node_nm=130,
        pdk=Pdk(
            name="sky130",
            liberty=(),
            clock_mhz=33,
            nand2="sky130_fd_sc_hd__nand2_1",
            driver="sky130_fd_sc_hd__inv_2",
            load_ff=10,
            dont_use=tuple(
                f"sky130_fd_sc_*__{kind}"
                for kind in (
                    "lpflow_*",
                    "probe*",
                    "dl*",
                    "clkdly*",
                    "clkbuf*",
                    "clkinv*",
                    "einv*",
                    "ebuf*",
                )
            ),
            tie_high=("sky130_fd_sc_hd__conb_1", "HI"),
            tie_low=("sky130_fd_sc_hd__conb_1", "LO"),
            row_um=2.72,
            wire_ff_um=0.155,
            clock_buffers=("sky130_fd_sc_*__clkbuf_*",),
            clock_gates=("sky130_fd_sc_*__dlclkp_*",),
        ),
    ),
    "sg13g2": _Known(
        files=((_SG13G2,), (f"ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/{_SG13G2}",)),
        install="install it with `ciel enable --pdk-family ihp-sg13g2` (PDK_ROOT tells where), or",
        mark="sg13g2_*",
        nand2_um2=7.2576,
        node_nm=130,
        pdk=Pdk(
            name="sg13g2",
            liberty=(),
            clock_mhz=50,
            nand2="sg13g2_nand2_1",
            driver="sg13g2_inv_2",
            load_ff=10,
            dont_use=(
                "sg13g2_dlygate*",
                "sg13g2_*lgcp*",
                "sg13g2_ebuf*",
                "sg13g2_einv*",
                "sg13g2_sighold",
            ),
            tie_high=("sg13g2_tiehi", "L_HI"),
            tie_low=("sg13g2_tielo", "L_LO"),
            row_um=3.78,
            wire_ff_um=0.173,
            clock_buffers=("sg13g2_buf_*",),
            clock_gates=("sg13g2_lgcp_*",),
        ),
    ),
    "asap7": _Known(
        files=(
            ("asap7_rvt_tt_merged.lib",),
            tuple(
                f"asap7sc7p5t_{part}_RVT_TT_nldm_*.lib"
                for part in ("AO", "INVBUF", "OA", "SEQ", "SIMPLE")
            ),
        ),
        install="get its Liberty files (RVT, TT, NLDM) and",
        mark="*_ASAP7_75t_*",
        nand2_um2=0.05832,
        node_nm=7,
        pdk=Pdk(
            name="asap7",
            liberty=(),
            clock_mhz=100,
            nand2="NAND2xp33_ASAP7_75t_R",
            driver="INVx2_ASAP7_75t_R",
            load_ff=2,
            dont_use=("DFFHQx*", "CKINV*", "HB*", "ICG*", "SDF*", "DLL*", "DHL*"),
            tie_high=("TIEHIx1_ASAP7_75t_R", "H"),
            tie_low=("TIELOx1_ASAP7_75t_R", "L"),
            row_um=0.27,
            wire_ff_um=0.173,
            clock_buffers=("BUFx*_ASAP7_75t_*",),
            clock_gates=("ICGx*_ASAP7_75t_*",),
        ),
    ),
}
NAMES = tuple(_KNOWN)
_DEBIAN_DIR = Path("/usr/share/qflow/tech/osu018")
CUSTOM_CLOCK_MHZ = 100.0


def _directories() -> Iterator[Path]:
    """Directories in which the candidates are tried; the first hit wins."""
    for variable in (PDK_DIR_VARIABLE, "PDK_ROOT"):
        if value := os.environ.get(variable):
            yield Path(value)
    for home in (".ciel", ".volare"):
        yield Path.home() / home
    yield _DEBIAN_DIR


def _existing(directory: Path, patterns: tuple[str, ...]) -> tuple[Path, ...] | None:
    """The file of each pattern, or its `.gz` neighbour; None unless there is one of each."""
    found = [
        next((path for end in ("", ".gz") for path in sorted(directory.glob(pattern + end))), None)
        for pattern in patterns
    ]
    whole = tuple(path for path in found if path is not None and path.is_file())
    return whole if len(whole) == len(patterns) else None


def find(name: str | None = None, liberty: Files | None = None) -> Pdk:
    """The PDK called `name` (default osu018), or the one made of any Liberty file `liberty`, or of
    several of one family.

    Files get 100 MHz. A known library, by whatever name and at whatever corner, has its own cells
    and rules; any other its smallest two-input NAND as gate equivalent, its smallest inverter as
    driver, four of the NAND's inputs as load, and its tie cells.
    Raises: UserError where the name is unknown, both are given, or a custom file is no library that
    units can be mapped to; ToolError where the named one is not installed (the message says what to
    install, and where it was looked for).
    """
    if liberty is not None:
        if name is not None:
            raise UserError("pdk and liberty must not both be given")
        return _custom(paths(liberty))
    name = DEFAULT_PDK if name is None else name
    if name not in _KNOWN:
        raise UserError(f"pdk must be one of {', '.join(NAMES)}, not {name!r}")
    known = _KNOWN[name]
    for directory in _directories():
        for patterns in known.files:
            if files := _existing(directory, patterns):
                return replace(known.pdk, liberty=files)
    raise ToolError(_not_found(known))


def _not_found(known: _Known) -> str:
    """What to do where a PDK has no files, and where they were looked for."""
    flat = [patterns for patterns in known.files if "/" not in patterns[0]]
    files = ", or ".join(" ".join(patterns) for patterns in flat)
    searched = [f"{path}{'' if path.is_dir() else ' (no folder)'}" for path in _directories()]
    remedy = f"{known.install} set {PDK_DIR_VARIABLE} to a folder that has {files}"
    return f"no Liberty file of {known.pdk.name} found: {remedy}; searched: {', '.join(searched)}"


def node_nm(name: str) -> float | None:
    """Node of the PDK of that name in nm, None where the name is unknown."""
    return _KNOWN[name].node_nm if name in _KNOWN else None


def _custom(files: tuple[Path, ...]) -> Pdk:
    """A Pdk from Liberty files: a known one by its cells, else from what its cells compute."""
    library = load(files)
    known = next((row for row in _KNOWN.values() if _has(library.cells, row.mark)), None)
    dont_use = known.pdk.dont_use if known else ()
    cells = library.usable(dont_use)
    check_flops(library, cells)
    gate, driver = nand2(library, cells), inverter(library, cells)
    if known and known.is_of(cells):
        return replace(known.pdk, liberty=files, clock_mhz=CUSTOM_CLOCK_MHZ)
    load_ff = 4e3 * max(pin.capacitance for pin in gate.inputs)
    return Pdk(
        name=library.name,
        liberty=files,
        clock_mhz=CUSTOM_CLOCK_MHZ,
        nand2=gate.name,
        driver=driver.name,
        load_ff=round(load_ff, 3),
        dont_use=dont_use,
        tie_high=tie(library, True, dont_use),
        tie_low=tie(library, False, dont_use),
    )


def _has(cells: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(kind, pattern) for kind in cells)
