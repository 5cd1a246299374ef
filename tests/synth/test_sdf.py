"""SDF text of delays."""

from mlsmac.synth.liberty.cells import ArcKind, Sense
from mlsmac.synth.mapping.netlist import Cell, Netlist
from mlsmac.synth.timing.delays import ArcDelay, Timing
from mlsmac.synth.timing.sdf import sdf_text

GATE = ArcKind.COMBINATIONAL
DELAYS = (
    ArcDelay("part.g1", "A", "Y", GATE, Sense.NEGATIVE, 0.25, 0.5),
    ArcDelay("part.g1", "B", "Y", GATE, Sense.NEGATIVE, -0.001, 1.5),
    ArcDelay("f", "CK", "Q", ArcKind.RISING_EDGE, Sense.NON_UNATE, 0.0000004, 0.2),
    ArcDelay("f", "R", "Q", ArcKind.CLEAR, Sense.POSITIVE, None, 0.75),
)
NETLIST = Netlist(
    "unit", {"part.g1": Cell("part.g1", "NAND2", {}), "f": Cell("f", "DFF", {})}, {}, {}
)

TEXT = """\
(DELAYFILE
  (SDFVERSION "3.0")
  (DESIGN "unit")
  (DIVIDER .)
  (TIMESCALE 1ns)
  (CELL
    (CELLTYPE "NAND2")
    (INSTANCE part\\.g1)
    (DELAY (ABSOLUTE
      (IOPATH A Y (0.250000:0.250000:0.250000) (0.500000:0.500000:0.500000))
      (IOPATH B Y (0.000000:0.000000:0.000000) (1.500000:1.500000:1.500000))
    ))
  )
  (CELL
    (CELLTYPE "DFF")
    (INSTANCE f)
    (DELAY (ABSOLUTE
      (IOPATH CK Q (0.000000:0.000000:0.000000) (0.200000:0.200000:0.200000))
      (IOPATH R Q (0.750000:0.750000:0.750000) (0.750000:0.750000:0.750000))
    ))
  )
)
"""


def test_text():
    """Triples of one value, nothing below zero, one edge for both where an arc has one."""
    assert sdf_text(NETLIST, Timing({}, {}, DELAYS)) == TEXT


def test_other_instance_names():
    text = sdf_text(NETLIST, Timing({}, {}, DELAYS), {"part.g1": "g0", "f": "g1"})
    assert text == TEXT.replace("part\\.g1", "g0").replace("INSTANCE f", "INSTANCE g1")
