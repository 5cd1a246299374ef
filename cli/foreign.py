"""`mlsmac report --verilog`: options to a row of the report."""

from collections.abc import Sequence
from pathlib import Path

from ..study.foreign import foreign_entry
from ..study.systems import Entry
from ..support.errors import UserError


def entries(
    verilog: Sequence[Path] | None,
    top: str | None,
    ports: str,
    latency: int | None,
    contract: str | None,
    checked: bool,
) -> tuple[Entry, ...]:
    """The row that a command's options describe; none without files. Raises: UserError."""
    needed = {"--top": top, "--latency": latency}
    if not verilog:
        others = {**needed, "--ports": ports, "--contract": contract, "--unchecked": not checked}
        if given := [option for option, value in others.items() if value]:
            raise UserError(f"{given[0]} must be given with --verilog")
        return ()
    if top is None or latency is None:
        missing = ", ".join(option for option, value in needed.items() if value is None)
        raise UserError(f"--verilog must be given with {missing}")
    return (foreign_entry(top, verilog, top, ports, latency, contract, checked=checked),)
