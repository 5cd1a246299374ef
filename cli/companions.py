"""What `generate` writes beside the Verilog on request, and the vectors that `verify` keeps."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..sim.vectors import DEFAULT_SEED, Vectors
from ..support.errors import UserError
from ..support.files import write_whole
from ..units import Configuration, StreamConfiguration
from .options import check_range
from .output import err

BENCH_OPERATIONS = 10_000

Testbench = Annotated[
    bool,
    typer.Option(
        "--testbench", help="Write a plain Verilog bench too, with vectors, for any simulator."
    ),
]
Core = Annotated[
    bool, typer.Option("--core", help="Write a FuseSoC .core file and a Bender.yml too.")
]
Steps = Annotated[
    int | None,
    typer.Option(help=f"Steps of the bench; default: {BENCH_OPERATIONS} over the lanes."),
]
BenchSeed = Annotated[
    int | None, typer.Option(help=f"Seed of the bench's vectors; default: {DEFAULT_SEED}.")
]
KeptVectors = Annotated[
    Path | None,
    typer.Option(
        "--vectors", metavar="DIR", help="Keep inputs and expected outputs there, by port."
    ),
]


def companions(
    configuration: Configuration,
    *,
    testbench: bool,
    core: bool,
    operations: int | None,
    seed: int | None,
) -> dict[str, str]:
    """Texts by file name. Raises: UserError."""
    from ..units.packaging import package_files

    for option, value in (("--operations", operations), ("--seed", seed)):
        if value is not None and not testbench:
            raise UserError(f"{option} is of the bench: give --testbench too")
    bench = _bench(configuration, operations, seed) if testbench else {}
    if not core:
        return bench
    simulated = [name for name in bench if not name.endswith(".json")]
    description = configuration.unit.description
    return {**bench, **package_files(configuration.slug, description, simulated)}


def _bench(
    configuration: Configuration, operations: int | None, seed: int | None
) -> dict[str, str]:
    from ..sim.plain_bench import bench_files

    if operations is None:
        operations = max(BENCH_OPERATIONS // configuration.options.get("lanes", 1), 1)
    seed = DEFAULT_SEED if seed is None else seed
    check_range("--operations", operations, 1)
    check_range("--seed", seed, 0)
    return _files(bench_files, configuration, "--testbench", operations, seed)


def _files(
    make: Callable[[str, Vectors, int], dict[str, str]],
    configuration: Configuration,
    option: str,
    operations: int,
    seed: int,
) -> dict[str, str]:
    """What `make` makes of a unit's vectors. Raises: UserError where it has no bare wires."""
    from ..sim.corners import make_vectors

    if isinstance(configuration, StreamConfiguration):
        raise UserError(f"{option} is for --interface wires: what streams do depends on pauses")
    with err.status(f"computing {operations} operations of {configuration.slug}"):
        vectors = make_vectors(configuration, operations, seed)
        return make(configuration.slug, vectors, seed)


def keep_vectors(
    configuration: Configuration,
    directory: Path,
    operations: int,
    seed: int,
) -> None:
    """Write the vectors of a bench into a directory, made if missing: all files or none.

    Raises: UserError, OSError.
    """
    from ..sim.plain_bench import vector_files

    texts = _files(vector_files, configuration, "--vectors", operations, seed)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole({directory / name: text for name, text in texts.items()})
