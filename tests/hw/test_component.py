# amaranth: UnusedElaboratable=no
"""Component: how parameters are declared, kept and documented; `check` of every class in hw."""

import enum
import importlib
import inspect
import pkgutil
from typing import Any

import pytest
from amaranth.hdl import Shape, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import mlsmac.hw
from mlsmac.golden.spec import (
    BF16,
    BLOCK_PRESETS,
    FP8_E4M3,
    FP8_E5M2,
    FP16,
    FP32,
    INT8,
    LNS8,
    MLS_E2M4,
    SCALE_E8M1,
    BlockFormat,
    ElementFormat,
    FloatFormat,
    IntFormat,
    LnsFormat,
    ScaleFormat,
)
from mlsmac.hw.floating.exact_multiplier import ExactMultiplier
from mlsmac.hw.mac.mac import Mac
from mlsmac.hw.mac.mls_mac import MlsMac
from mlsmac.hw.parts.combinational import Combinational
from mlsmac.hw.parts.component import Component, Parameter, constant, parameter
from mlsmac.hw.parts.stepped import Stepped
from mlsmac.hw.parts.unsigned_multiplier import Recoding, UnsignedMultiplier
from mlsmac.hw.quantizer import block_lanes
from mlsmac.hw.tile import adder_trees, axi_stream, scaled_trees, tile, tile_scalers


class Direction(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


class Shifter(Component):
    """Shifts.

    Members
    -------
    i: In, `width` bits.
    """

    width: int = parameter("bits of `i`", low=1, high=8)
    out_width: int = parameter("bits of `o`", low=1, high=9, factory=lambda self: self.width + 1)
    towards: Direction = parameter("of the shift", default=Direction.LEFT, alias="direction")
    rotates: bool = parameter("whether bits come back", default=False)
    step: IntFormat | None = parameter("of the amount", default=None)

    def rules(self):
        if self.rotates and self.out_width != self.width:
            raise ValueError(f"out_width must be {self.width} to rotate, not {self.out_width}")

    def ports(self):
        built.append(self)
        return {"i": In(self.width), "o": Out(self.out_width), "direction": In(1)}


class Rotator(Shifter):
    """Rotates."""

    towards: Direction = constant(Direction.RIGHT)
    out_width: int = constant(property(lambda self: self.width))
    rotates: bool = constant(True)


class Pair(Component):
    count: int = Shifter.width
    shifter: wiring.Component = parameter("the part")


built: list[Shifter] = []
"""Shifters whose ports were asked for."""


def test_values_are_attributes():
    part = Shifter(width=3, out_width=2, direction=Direction.RIGHT, rotates=False, step=INT8)
    assert (part.width, part.out_width, part.towards) == (3, 2, Direction.RIGHT)
    assert (part.rotates, part.step) == (False, INT8)
    assert (len(part.i), len(part.o)) == (3, 2)


def test_defaults():
    part = Shifter(width=3)
    assert (part.out_width, part.towards, part.rotates, part.step) == (
        4,
        Direction.LEFT,
        False,
        None,
    )
    assert Shifter(width=5, out_width=None).out_width == 6  # None asks the factory, too


def test_an_alias_leaves_its_name_to_the_port():
    part = Shifter(width=3, direction="right")
    assert part.towards is Direction.RIGHT
    assert len(part.direction) == 1
    assert "towards" not in Shifter.parameters


def test_enumerations_by_member_and_by_value():
    for value in Direction.RIGHT, "right":
        assert Shifter(width=3, direction=value).towards is Direction.RIGHT


@pytest.mark.parametrize("attribute", ["width", "out_width", "towards", "rotates", "step"])
@pytest.mark.parametrize("cls", [Shifter, Rotator])
def test_attributes_are_read_only(cls, attribute):
    part = cls(width=3)
    before = getattr(part, attribute)
    with pytest.raises(AttributeError):
        setattr(part, attribute, before)
    assert getattr(part, attribute) == before


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, TypeError, "Shifter must be given width: bits of `i`"),
        ({"width": 0}, ValueError, "width must be in 1..8, not 0"),
        ({"width": 9}, ValueError, "width must be in 1..8, not 9"),
        ({"width": 1.0}, TypeError, "width must be an integer, not 1.0"),
        ({"width": True}, TypeError, "width must be an integer, not True"),
        ({"width": None}, TypeError, "width must be an integer, not None"),
        ({"width": 3, "out_width": 10}, ValueError, "out_width must be in 1..9, not 10"),
        (
            {"width": 3, "direction": "up"},
            ValueError,
            "direction must be one of 'left', 'right', not 'up'",
        ),
        (
            {"width": 3, "direction": None},
            ValueError,
            "direction must be one of 'left', 'right', not None",
        ),
        ({"width": 3, "rotates": 1}, TypeError, "rotates must be a bool, not 1"),
        ({"width": 3, "step": 8}, TypeError, "step must be an IntFormat, not 8"),
        ({"width": 3, "rotates": True}, ValueError, "out_width must be 3 to rotate, not 4"),
        (
            {"width": 3, "towards": Direction.LEFT, "depth": 1},
            TypeError,
            "Shifter takes width, out_width, direction, rotates, step, not depth, towards",
        ),
    ],
)
def test_rejects(values, error, message):
    built.clear()
    for make in Shifter, Shifter.check:
        with pytest.raises(error) as caught:
            make(**values)
        assert str(caught.value) == message
    assert not built


def test_check_builds_nothing():
    built.clear()
    assert Shifter.check(width=3) is None
    assert not built
    Shifter(width=3)
    assert len(built) == 1


def test_arguments_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        Shifter(3)


def test_constants_are_no_arguments():
    assert list(Rotator.parameters) == ["width", "step"]
    assert list(Shifter.parameters) == ["width", "out_width", "direction", "rotates", "step"]
    part = Rotator(width=3)
    assert (part.towards, part.out_width, part.rotates) == (Direction.RIGHT, 3, True)
    assert (Rotator.towards, Rotator.rotates) == (Direction.RIGHT, True)
    with pytest.raises(TypeError, match=r"^Rotator takes width, step, not direction$"):
        Rotator(width=3, direction="left")


def test_a_part_s_parameter_keeps_its_name_and_rule():
    assert Pair.parameters["width"] is Shifter.width
    with pytest.raises(ValueError, match=r"^width must be in 1\.\.8, not 9$"):
        Pair.check(width=9, shifter=Shifter(width=1))
    with pytest.raises(TypeError, match=r"^shifter must be a Component, not 3$"):
        Pair.check(width=8, shifter=3)


def test_a_class_documents_its_parameters():
    assert Shifter.__doc__ == (
        "Shifts.\n\n"
        "    Parameters\n"
        "    ----------\n"
        "    width: 1..8; bits of `i`.\n"
        "    out_width: 1..9; bits of `o`.\n"
        "    direction: Direction; of the shift (default left).\n"
        "    rotates: bool; whether bits come back (default False).\n"
        "    step: IntFormat; of the amount (default None).\n\n"
        "    Members\n"
        "    -------\n"
        "    i: In, `width` bits.\n"
        "    "
    )
    assert Rotator.__doc__ == (
        "Rotates.\n\n"
        "    Parameters\n"
        "    ----------\n"
        "    width: 1..8; bits of `i`.\n"
        "    step: IntFormat; of the amount (default None).\n"
        "    "
    )


def test_ports_must_be_said():
    with pytest.raises(NotImplementedError):
        Combinational()


def subclasses(cls: type[Component]) -> list[type[Component]]:
    return [each for child in cls.__subclasses__() for each in (child, *subclasses(child))]


ABSTRACT = (
    Mac,
    adder_trees.AdderTree,
    adder_trees._IntegerTree,
    block_lanes.BlockLanes,
    scaled_trees._ScaledTree,
    tile_scalers.Scalers,
)
"""With parameters, but hooks that only children have."""

for module in pkgutil.walk_packages(mlsmac.hw.__path__, f"{mlsmac.hw.__name__}."):
    importlib.import_module(module.name)

HARDWARE = [
    cls
    for cls in subclasses(Component)
    if cls.__module__.startswith(mlsmac.hw.__name__ + ".") and cls not in ABSTRACT
]
SAMPLES: dict[type, object] = {
    BlockFormat: BLOCK_PRESETS["mxfp4"],
    FloatFormat: FP8_E4M3,
    ElementFormat: MLS_E2M4,
    ScaleFormat: SCALE_E8M1,
    IntFormat: INT8,
    LnsFormat: LNS8,
    bool: True,
    dict: {"w": 4, "a": 4},
    Component: UnsignedMultiplier(width=2),
    Shape: unsigned(8),
    tuple[Mac, ...]: (MlsMac(format=MLS_E2M4, acc_width=16),),
    adder_trees.AdderTree: adder_trees.Fp32AdderTree(leaves=2),
    Stepped: tile.MlsTile(format=MLS_E2M4, scale=SCALE_E8M1, acc_width=16, lanes=1),
}
"""A value of each kind of parameter that is neither an integer nor an enumeration."""


def sample(declared: Parameter) -> object:
    """A value that the declaration allows."""
    if isinstance(declared.kind, type) and issubclass(declared.kind, enum.Enum):
        return next(iter(declared.kind))
    return SAMPLES.get(declared.kind, declared.low)


def arguments(cls: type[Component]) -> dict[str, Any]:
    """Values of the parameters that must be given, each of the right kind."""
    values = {name: sample(each) for name, each in cls.parameters.items() if each.required}
    return values | ({"out_format": FloatFormat(6, 7)} if cls is ExactMultiplier else {})


def refused(declared: Parameter) -> list[object]:
    """Values that the declaration alone rules out."""
    if declared.kind is int and declared.low is not None and declared.high is not None:
        return [declared.low - 1, declared.high + 1, 1.5, True, "1"]
    return [object(), 1.5]


def outcome(make: Any, values: dict[str, Any]) -> tuple[type, str] | None:
    """What `make` raises."""
    try:
        make(**values)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    return None


def checked(cls: type[Component], values: dict[str, Any]) -> tuple[type, str] | None:
    """What `check` raises, which must not ask for ports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "ports", lambda self: pytest.fail("check builds"))
        return outcome(cls.check, values)


def test_what_is_imported_is_checked():
    assert {MlsMac, tile.Fp32Tile, axi_stream.AxiConvTile} <= {*HARDWARE}


@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls in HARDWARE for name in cls.parameters]
)
def test_check_refuses_what_construction_does(cls, name):
    for value in refused(cls.parameters[name]):
        values = arguments(cls) | {name: value}
        raised = checked(cls, values)
        assert raised is not None, value
        assert raised[1].startswith(f"{name} must be "), raised
        assert outcome(cls, values) == raised


@pytest.mark.parametrize("cls", [cls for cls in HARDWARE if cls.parameters])
def test_check_refuses_what_is_missing_or_unknown(cls):
    given = arguments(cls)
    for name in given:
        values = {each: value for each, value in given.items() if each != name}
        raised = checked(cls, values)
        assert raised is not None
        assert raised[1].startswith(f"{cls.__name__} must be given {name}: ")
        assert outcome(cls, values) == raised
    raised = checked(cls, given | {"fmt": None})
    assert raised == outcome(cls, given | {"fmt": None})
    assert raised is not None
    assert raised[1].endswith(", not fmt")


@pytest.mark.parametrize("cls", [cls for cls in HARDWARE if cls.parameters])
def test_check_accepts_what_is_built(cls):
    values = arguments(cls)
    assert checked(cls, values) == outcome(cls, values)


WIDE = {"format": ElementFormat(5, 10)}
MLS = {"format": MLS_E2M4, "scale": SCALE_E8M1}
NAN_ONLY = {"format": FP32, "product_format": FP8_E4M3}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SignedMultiplier", {"x_width": 2, "y_width": 2, "product_width": 5}),
        ("IntToFloat", {"width": 140, "exponent_width": 0, "offset": 11}),
        ("MlsMultiplier", WIDE),
        ("MlsDot", WIDE | {"lanes": 2}),
        ("MlsMac", WIDE | {"acc_width": 16}),
        ("LnsMultiplier", {"format": LNS8, "table_fraction": 2}),
        ("LnsConverter", {"format": LNS8, "table_bits": 4}),
        ("LnsAccumulator", {"format": LNS8, "table_bits": 4, "width": 24}),
        ("LnsMac", {"format": LNS8, "table_bits": 3, "acc_width": 24, "table_fraction": 2}),
        ("FixedPointAccumulator", {"format": BF16, "width": 45}),
        ("KulischMac", {"format": BF16, "acc_width": 45}),
        ("FloatAdder", {"format": FP32, "operand_format": FP16}),
        ("FloatAdder", {"format": FP8_E4M3, "operand_format": FloatFormat(4, 3)}),
        ("FloatAccumulator", {"format": FP16, "product_format": BF16}),
        ("FloatAccumulator", NAN_ONLY),
        ("FloatMac", NAN_ONLY),
        ("FloatMac", {"format": FP16, "acc_format": FP8_E5M2, "product_format": BF16}),
        ("FloatMac", {"format": FP8_E4M3, "acc_format": FP16, "subnormals": False}),
        ("Fp8Mac", {"format": BF16}),
        ("ExactMultiplier", {"format": FP8_E4M3, "out_format": FloatFormat(6, 8)}),
        ("Fp32AdderTree", {"leaves": 3, "sharing": 2}),
        (
            "AlignedAdderTree",
            {"leaves": 3, "sharing": 2, "term_width": 8, "exponent_width": 9, "offset": 4},
        ),
        ("AlignedAdderTree", {"leaves": 64, "term_width": 128, "exponent_width": 9, "offset": 4}),
        ("Collector", {"lanes": 4, "sharing": 8, "shape": unsigned(8)}),
        ("Collector", {"lanes": 6, "sharing": 2, "shape": unsigned(8)}),
        ("MlsTile", MLS | {"acc_width": 16} | {"lanes": 4, "sharing": 8}),
        ("MlsTile", MLS | {"acc_width": 16} | {"lanes": 9, "sharing": 3}),
        ("MlsTile", MLS | {"acc_width": 16} | WIDE),
        ("Fp8Tile", {"format": BF16}),
        ("Fp32Tile", {"lanes": 6, "sharing": 2}),
    ],
)
def test_check_refuses_what_does_not_go_together(name, values):
    cls = next(each for each in HARDWARE if each.__name__ == name)
    raised = checked(cls, values)
    assert raised is not None
    assert raised[0] is ValueError
    assert outcome(cls, values) == raised


@pytest.mark.parametrize("recoding", ["booth4", Recoding.BOOTH4])
def test_structures_by_value_reach_the_parts(recoding):
    part = ExactMultiplier(format=FP8_E4M3, out_format=FloatFormat(6, 7), recoding=recoding)
    assert part.recoding is Recoding.BOOTH4
    assert part._significands.recoding is Recoding.BOOTH4


def test_a_component_is_frozen_once_it_is_built():
    mac = MlsMac(format=MLS_E2M4, acc_width=16)
    for name in ("acc_width", "stages", "idle_operands", "anything"):
        with pytest.raises(AttributeError):
            setattr(mac, name, ())


def test_a_signature_tells_the_parameters():
    told = inspect.signature(MlsMac).parameters
    assert list(told) == list(MlsMac.parameters)
    assert told["format"].default is inspect.Parameter.empty
    assert told["acc_width"].default is inspect.Parameter.empty
    assert told["hold"].default is False


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (int, {"low": 3}, "with its range"),
        (int, {}, "with its range"),
        (int | str, {}, "a type, or it and None"),
        ("int", {"low": 1, "high": 2}, "a type, or it and None"),
    ],
)
def test_a_declaration_that_could_not_be_checked_is_refused(kind, given, message):
    body = {"__annotations__": {"x": kind}, "x": parameter("of a test", **given)}
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Component,), body)
