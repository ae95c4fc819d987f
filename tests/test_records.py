"""Records behave as frozen data classes do, which each is compared with here."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from mace.records import as_dict, field, record, replace


@record
class Point:
    """A record with every kind of field."""

    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)
    note: str = field(default_factory=str, compare=False, show=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")

    @property
    def sum(self) -> int:
        return self.x + self.y


@dataclasses.dataclass(frozen=True)
class Twin:
    x: int
    y: int = 2
    names: list[str] = dataclasses.field(default_factory=list)
    note: str = dataclasses.field(default_factory=str, compare=False, repr=False)


@pytest.mark.parametrize(
    ("given", "named"),
    [((1,), {}), ((1, 3), {}), ((), {"x": 1}), ((1,), {"names": ["a"], "y": 4}), ((1, 2, ["b"], "n"), {})],
)
def test_values_and_text_are_those_of_a_data_class(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """By place, by name, by default: the same values in the same order, shown in the same way."""
    made, twin = Point(*given, **named), Twin(*given, **named)
    assert as_dict(made) == dataclasses.asdict(twin)
    assert repr(made) == repr(twin).replace("Twin", "Point")
    assert dataclasses.asdict(made) == dataclasses.asdict(twin)
    assert [f.name for f in dataclasses.fields(Point)] == [f.name for f in dataclasses.fields(Twin)]
    assert made.sum == twin.x + twin.y


@pytest.mark.parametrize(
    ("given", "named"), [((), {}), ((1, 2, [], "", 5), {}), ((1,), {"z": 1}), ((1,), {"x": 1}), ((), {"y": 1})]
)
def test_wrong_arguments_are_a_type_error(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    for kind in (Point, Twin):
        with pytest.raises(TypeError):
            kind(*given, **named)


def test_every_default_is_made_anew() -> None:
    assert Point(1).names is not Point(1).names


def test_it_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 5
    with pytest.raises(AttributeError):
        del point.x
    assert point.x == 1


def test_equality_and_hash_go_by_the_fields_that_count() -> None:
    """A field that is not compared makes no difference; another class of the same fields is another thing."""

    @record
    class Other:
        x: int
        y: int = 2

    assert Point(1, note="a") == Point(1, note="b") != Point(2)
    assert Other(1) == Other(1, 2)
    assert hash(Other(1)) == hash(Other(1, 2))
    assert Other(1) != Point(1)
    assert {Other(1), Other(1), Other(2)} == {Other(1), Other(2)}


def test_replace_checks_what_it_makes() -> None:
    """Both functions of that name give a new record, and what is made is completed as any other."""
    for change in (replace, dataclasses.replace):
        changed = change(Point(1, 2, ["a"]), y=5)
        assert changed == Point(1, 5, ["a"])
        with pytest.raises(ValueError, match="negative"):
            change(Point(1), x=-1)
        with pytest.raises(TypeError):
            change(Point(1), z=1)


def test_copies_and_patterns() -> None:
    """It goes through pickle and copy, and its fields can be matched by place."""
    point = Point(1, 3, ["a"])
    assert pickle.loads(pickle.dumps(point)) == copy.deepcopy(point) == point
    match point:
        case Point(1, y):
            assert y == 3
        case _:
            pytest.fail("the pattern did not match")
