"""PDK look-up: which Liberty file, at which clock, with which reference cells.

A name resolves, in this order, to: a file in the directory named by `MLSMAC_PDK_DIR`, a file of an
installed PDK under `PDK_ROOT`, `~/.ciel` or `~/.volare` (the layout of open_pdks and ciel),
Debian's package (osu018). `.gz` files are accepted everywhere.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...support.errors import UserError
from .boolean import truth_table
from .cells import LibertyCell
from .library import LibertyError, Library, check_syntax, load

DEFAULT_PDK = "osu018"
PDK_DIR_VARIABLE = "MLSMAC_PDK_DIR"


@dataclass(frozen=True, kw_only=True)
class Pdk:
    """A cell library and the conditions under which every unit is mapped and measured with it.

    `clock_mhz` is the default clock; `nand2` the cell whose area is one gate equivalent; `driver`
    the cell assumed to drive the inputs and `load_ff` the load (fF) on every output while mapping;
    `dont_use` are glob patterns of cell names that mapping must not use; `tie_high` and `tie_low`
    are (cell, pin), None where constants stay constants.
    """

    name: str
    liberty: Path
    clock_mhz: float
    nand2: str
    driver: str
    load_ff: float
    dont_use: tuple[str, ...] = ()
    tie_high: tuple[str, str] | None = None
    tie_low: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Known:
    """A row of the table: candidate files below a directory, advice if none exists, and the Pdk
    less its file.
    """

    files: tuple[str, ...]
    install: str
    pdk: Pdk


_SKY130 = "sky130_fd_sc_hd__tt_025C_1v80.lib"
_SG13G2 = "sg13g2_stdcell_typ_1p20V_25C.lib"

# Clocks: 100 MHz where a float32 multiply-add with ripple carries meets it, else what it does meet.
# Loads are about four inverter inputs of the node. Never used: clock and delay cells, three-state
# drivers, level shifters, isolation, scan; ABC would take some of them for plain buffers or gates.
_KNOWN = {
    "osu018": _Known(
        files=("osu018_stdcells.lib",),
        install="install the Debian package qflow-tech-osu018",
        pdk=Pdk(
            name="osu018",
            liberty=Path(),
            clock_mhz=40,
            nand2="NAND2X1",
            driver="INVX4",
            load_ff=20,
            dont_use=("CLKBUF*", "TBUF*"),
        ),
    ),
    "sky130": _Known(
        files=(
            _SKY130,
            f"sky130A/libs.ref/sky130_fd_sc_hd/lib/{_SKY130}",
            f"sky130B/libs.ref/sky130_fd_sc_hd/lib/{_SKY130}",
        ),
        install="install it with `ciel enable --pdk-family sky130` or set PDK_ROOT",
        pdk=Pdk(
            name="sky130",
            liberty=Path(),
            clock_mhz=33,
            nand2="sky130_fd_sc_hd__nand2_1",
            driver="sky130_fd_sc_hd__inv_2",
            load_ff=10,
            dont_use=tuple(
                f"sky130_fd_sc_hd__{kind}"
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
        ),
    ),
    "sg13g2": _Known(
        files=(_SG13G2, f"ihp-sg13g2/libs.ref/sg13g2_stdcell/lib/{_SG13G2}"),
        install="install it with `ciel enable --pdk-family ihp-sg13g2` or set PDK_ROOT",
        pdk=Pdk(
            name="sg13g2",
            liberty=Path(),
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
        ),
    ),
    "asap7": _Known(
        files=("asap7_rvt_tt_merged.lib",),
        install=f"merge its five RVT TT files into one library and set {PDK_DIR_VARIABLE}",
        pdk=Pdk(
            name="asap7",
            liberty=Path(),
            clock_mhz=100,
            nand2="NAND2xp33_ASAP7_75t_R",
            driver="INVx2_ASAP7_75t_R",
            load_ff=2,
            dont_use=("DFFHQx*", "CKINV*", "HB*", "ICG*", "SDF*", "DLL*", "DHL*"),
            tie_high=("TIEHIx1_ASAP7_75t_R", "H"),
            tie_low=("TIELOx1_ASAP7_75t_R", "L"),
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


def _existing(path: Path) -> Path | None:
    """`path`, or its `.gz` neighbour, whichever exists."""
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


def find(name: str | None = None, liberty: Path | None = None) -> Pdk:
    """The PDK called `name` (default osu018), or the one made of any Liberty file `liberty`.

    A custom file gets 100 MHz, its smallest two-input NAND as gate equivalent and driver, and four
    of its inputs as load.
    Raises: UserError where the name is unknown, both are given, no file is found (the message says
    what to install), or a custom file is no complete Liberty file.
    """
    if liberty is not None:
        if name is not None:
            raise UserError("pdk and liberty must not both be given")
        return _custom(Path(liberty))
    name = DEFAULT_PDK if name is None else name
    if name not in _KNOWN:
        raise UserError(f"pdk must be one of {', '.join(NAMES)}, not {name!r}")
    known = _KNOWN[name]
    candidates = (directory / file for directory in _directories() for file in known.files)
    path = next((hit for hit in map(_existing, candidates) if hit), None)
    if path is None:
        raise UserError(
            f"no Liberty file of {name} found (looked for {known.files[-1]}): {known.install}"
        )
    return replace(known.pdk, liberty=path)


def _custom(path: Path) -> Pdk:
    """A Pdk from a Liberty file: a known one by the file's name, else from what its cells
    compute.
    """
    if not path.is_file():
        raise UserError(f"Liberty file {str(path)!r} not found: check the path given as liberty")
    try:
        check_syntax(path)
        library = load(path)
        nand2 = _smallest(library, "nand2", [True, True, True, False])
        inverter = _smallest(library, "inv", [True, False])
    except LibertyError as error:
        raise UserError(str(error)) from error
    file = path.name.removesuffix(".gz")
    for known in _KNOWN.values():
        if file in known.files:
            return replace(known.pdk, liberty=path, clock_mhz=CUSTOM_CLOCK_MHZ)
    load_ff = 4e3 * max(pin.capacitance for pin in nand2.inputs)
    return Pdk(
        name=library.name,
        liberty=path,
        clock_mhz=CUSTOM_CLOCK_MHZ,
        nand2=nand2.name,
        driver=inverter.name,
        load_ff=round(load_ff, 3),
    )


def _smallest(library: Library, word: str, table: list[bool]) -> LibertyCell:
    """The cell of least area whose only function has this truth table.

    Raises: UserError if there is none.
    """
    # Converting every cell of a large library takes seconds, and nearly all have a cell so named.
    named = [kind for kind in library.cells if word in kind.lower()]
    for kinds in (named, library.cells):
        found = [cell for kind in kinds if _computes(cell := library.cells[kind], table)]
        if found:
            return min(found, key=lambda cell: (cell.area_um2, cell.name))
    raise UserError(f"library {library.name} must have a cell like {word}, but has none")


def _computes(cell: LibertyCell, table: list[bool]) -> bool:
    names = [pin.name for pin in cell.inputs]
    if 1 << len(names) != len(table) or len(cell.outputs) != 1 or cell.flop:
        return False
    function = cell.outputs[0].function
    if function is None or function.pins != set(names):
        return False
    return bool(function.evaluate(truth_table(names)).tolist() == table)
