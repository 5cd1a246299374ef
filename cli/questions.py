"""`mlsmac report`: what is asked for, in words or by a file, to measured rows in every library."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..study.compare import compare
from ..study.dot_report import make_dot_report
from ..study.question import ALL, BASELINES, Question, from_file, from_words, standard
from ..study.report import make_report
from ..study.rows import MacReport
from ..study.systems import Entry
from ..study.tables import dot_tables, library_tables, mac_tables, tile_tables
from ..study.tile_report import make_tile_report
from ..support.errors import UserError
from . import comparing, measuring
from .measuring import Asked
from .options import UNIT_OPTIONS, configured, lane_counts
from .output import print_paths, show

TILE_PRODUCTS = 3
"""Products of a tile for an operation of a MAC: outputs are longer than groups."""


def asked(
    specification: Path | None,
    own: Sequence[str | Entry],
    which: Sequence[str],
    labels: Sequence[str],
) -> Question:
    """What a command line asks for; `own`: rows in words, or ready. Raises: UserError, OSError."""
    question = Question() if specification is None else from_file(specification)
    for given in own:
        question += from_words(given) if isinstance(given, str) else Question(units=(given,))
    for row in question.rows():
        configured(row.unit, {**dict.fromkeys(UNIT_OPTIONS), **row.options})  # checks and warns
    if not which:
        which = [BASELINES] if own else [ALL] if specification is None else []
    question = standard(which, question) + question
    question.check()
    return question.compared_with(labels)


class Answer(NamedTuple):
    """A report of one library, where it goes, and what it was asked for with."""

    report: MacReport
    directory: Path


def answered(question: Question, settings: Mapping[str, Any], output: Path) -> list[Answer]:
    """Measure in every library. Raises: UserError, OSError, and what measuring raises."""
    options = dict(settings)
    counts = lane_counts(options.pop("lanes"), powers_of_two=bool(question.dots))
    names = options.pop("pdk")
    libraries = [None] if names is None else names.split(",")
    if len(set(libraries)) < len(libraries):
        raise UserError(f"--pdk must name each library once, not {names}")
    places = [output] if len(libraries) == 1 else [output / str(name) for name in libraries]
    every = [
        measuring.asked(place, pdk=name, **options)
        for name, place in zip(libraries, places, strict=True)
    ]
    if question.dots or question.tiles:
        _ = every[0].stimulus.convolutions  # which pairs have none of
    return [
        Answer(_measured(question, own, counts), place)
        for own, place in zip(every, places, strict=True)
    ]


def _measured(question: Question, given: Asked, lanes: Sequence[int]) -> MacReport:
    result = measuring.measured(make_report, given, entries=question.units, held=True)
    if question.dots:
        of_dots = measuring.of_dots(given)
        dots = measuring.measured(make_dot_report, of_dots, lanes=lanes, entries=question.dots)
        result = replace(result, dot_baselines=dots.baselines, dots=dots.rows)
    if question.tiles:
        longer = given.stimulus.resized(TILE_PRODUCTS * len(given.stimulus))
        of_tiles = given._replace(stimulus=longer)
        tiles = measuring.measured(make_tile_report, of_tiles, lanes=lanes, entries=question.tiles)
        result = replace(result, tile_baselines=tiles.baselines, tiles=tiles.rows)
    return result


def present(answers: Sequence[Answer], output: Path, as_json: bool) -> None:
    """Write and print the report of each library, and where there are several how they compare."""
    several = len(answers) > 1
    for report, directory in answers:
        paths = measuring.write(report, directory)
        tables = mac_tables(report) if report.rows else []
        tables += dot_tables(report, report.dots) if report.dots else []
        tables += tile_tables(report, report.tiles) if report.tiles else []
        if not (several and as_json):
            show(report, as_json, tables, measuring.remarks(report))
        print_paths(paths)
    if several:
        compared = compare({report.pdk: report for report, _ in answers})
        comparing.present(compared, library_tables(compared), "libraries", output, as_json)
    for report, _ in answers:
        measuring.conclude(report)
