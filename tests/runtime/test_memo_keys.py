"""Equal meaning gives equal keys, different meaning different keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from random import Random
from typing import Annotated, ParamSpec, TypeVar
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from agentcache.prompt.canonical import JsonObject, JsonValue, canonical_json
from agentcache.runtime.memo_declaration import Memo, Scope
from agentcache.runtime.memo_keys import MemoScope, bound, written
from agentcache.runtime.tools import FunctionTool, Tool, tool

P = ParamSpec("P")
R = TypeVar("R")


def key(declared: Tool, **arguments: JsonValue) -> str:
    call = bound(declared, arguments)
    assert call is not None, f"{arguments} do not fit"
    return call.key()


def kept(function: Callable[P, R]) -> FunctionTool[P, R]:
    return tool(function, deterministic=True, version="1")


class Colour(Enum):
    RED = "red"
    ONE = 1


class Level(IntEnum):
    LOW = 1


class Leg(BaseModel):
    to: str
    by: Colour = Colour.RED


class Trip(BaseModel):
    model_config = ConfigDict(extra="allow")
    legs: list[Leg]
    seats: float = 1.0
    note: str = Field(default="", exclude=True)
    _seen: str = PrivateAttr(default="")


class Odd(str):
    __slots__ = ()


@dataclass
class Door:
    code: InitVar[str]

    def __post_init__(self, code: str) -> None:
        self.opened_by = code


@kept
def anything(value: object) -> str:
    """Take anything."""
    return repr(value)


@kept
def whole(value: int, factor: int = 3) -> str:
    """Take a whole number."""
    return str(value * factor)


@kept
def broken(value: float) -> str:
    """Take a number."""
    return str(value)


@kept
def travel(trip: Trip, stops: set[str] = set(), on: datetime | None = None) -> str:  # noqa: B006
    """Plan a trip."""
    return f"{trip}{stops}{on}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def typed(value: JsonValue) -> str:
    """Tell values apart that Python calls equal: 1, 1.0 and True."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name!r}:{typed(value[name])}" for name in sorted(value)) + "}"
    return "[" + ",".join(map(typed, value)) + "]" if isinstance(value, list) else f"{type(value).__name__}:{value!r}"


@given(JSON, JSON)
def test_values_of_any_type_have_one_key_exactly_when_they_are_the_same(one: JsonValue, other: JsonValue):
    try:
        same = key(anything, value=one) == key(anything, value=other)
    except UnicodeEncodeError:
        assume(False)
    assert same == (typed(one) == typed(other))


RAW = Tool(
    name="raw", description="Raw.", input_schema={"type": "object"}, function=repr, deterministic=True, version="1"
)


@pytest.mark.parametrize("declared", [anything, RAW], ids=["by signature", "by schema"])
def test_one_true_and_the_text_of_one_are_different_things(declared: Tool):
    values: list[JsonValue] = [1, 1.0, True, "1", [1], {"1": 1}, None, "None", "", 0, 0.0, -0.0, False, [], {}]
    assert len({key(declared, value=value) for value in values}) == len(values)


@given(st.integers(-(2**53), 2**53))
def test_a_number_may_be_spelled_either_way_where_the_type_says_which_it_is(number: int):
    for declared in (whole, broken):
        assert key(declared, value=number) == key(declared, value=float(number))
    assert key(whole, value=number) == key(whole, value=str(number))
    assert key(whole, value=number) != key(whole, value=number + 1)


@given(st.integers(), st.integers())
def test_a_default_that_is_written_out_changes_nothing(value: int, factor: int):
    assert key(whole, value=value) == key(whole, factor=3, value=value)
    assert (key(whole, value=value, factor=factor) == key(whole, value=value)) == (factor == 3)


@given(st.dictionaries(st.text(min_size=1), JSON, min_size=2, max_size=5), st.randoms())
def test_the_order_of_names_means_nothing_and_that_of_lists_does(value: JsonObject, random: Random):
    items = list(value.items())
    random.shuffle(items)
    try:
        assert key(anything, value=dict(items)) == key(anything, value=value)
        assert key(anything, value=[1, value]) != key(anything, value=[value, 1])
    except UnicodeEncodeError:
        assume(False)


@given(st.lists(st.text(alphabet="abc"), max_size=5), st.randoms())
def test_a_set_has_no_order_and_no_duplicates(stops: list[str], random: Random):
    trip: JsonObject = {"legs": []}
    mixed: list[JsonValue] = [*stops, *stops]
    random.shuffle(mixed)
    assert key(travel, trip=trip, stops=mixed) == key(travel, trip=trip, stops=list(stops))
    assert key(travel, trip=trip, stops=[*stops, "d"]) != key(travel, trip=trip, stops=list(stops))


@given(st.lists(st.sampled_from(["a", "b"]), max_size=3), st.lists(st.sampled_from(["a", "b"]), max_size=3))
def test_nested_models_are_compared_field_by_field(one: list[str], other: list[str]):
    def trip(places: list[str]) -> JsonObject:
        return {"legs": [{"to": place} for place in places]}

    assert (key(travel, trip=trip(one)) == key(travel, trip=trip(other))) == (one == other)
    assert key(travel, trip={**trip(one), "seats": 1.0}) == key(travel, trip=trip(one))
    assert key(travel, trip={**trip(one), "seats": 2}) != key(travel, trip=trip(one))


def test_what_a_model_does_not_show_counts_too():
    plain: JsonObject = {"legs": []}
    others: list[JsonObject] = [{**plain, "note": "x"}, {**plain, "extra": 1}, {**plain, "extra": 2}]
    assert len({key(travel, trip=trip) for trip in [plain, *others]}) == 4


def test_secrets_differ_and_are_not_shown():
    @kept
    def enter(password: SecretStr) -> str:
        """Enter."""
        return "in"

    assert key(enter, password="a") != key(enter, password="b")
    call = bound(enter, {"password": "opensesame"})
    assert call is not None
    assert call.shown() == '{"password":"**********"}'


@given(st.datetimes(timezones=st.just(UTC)), st.integers(1, 14))
def test_a_time_counts_with_its_offset(when: datetime, hours: int):
    assume(timedelta(days=2) < when - datetime.min.replace(tzinfo=UTC))
    assume(timedelta(days=2) < datetime.max.replace(tzinfo=UTC) - when)
    trip: JsonObject = {"legs": []}
    utc = when.isoformat()
    assert key(travel, trip=trip, on=utc) == key(travel, trip=trip, on=utc.replace("+00:00", "Z"))
    elsewhere = when.astimezone(timezone(timedelta(hours=hours))).isoformat()
    later = (when + timedelta(microseconds=1)).isoformat()
    naive = when.replace(tzinfo=None).isoformat()
    assert len({key(travel, trip=trip, on=text) for text in (utc, elsewhere, later, naive)}) == 4


@given(st.text())
def test_text_counts_by_its_code_points(text: str):
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    try:
        assert len({key(anything, value=form) for form in forms}) == len(forms)
    except UnicodeEncodeError:
        assume(False)


def test_members_of_enumerations_are_not_their_values():
    values = [Colour.RED, Colour.ONE, Level.LOW, 1, "red", True]
    assert len({canonical_json(written(value)) for value in values}) == len(values)

    @kept
    def paint(colour: Colour) -> str:
        """Paint."""
        return colour.name

    assert key(paint, colour="red") != key(paint, colour=1)


def test_values_of_the_standard_library_count_by_their_text():
    @kept
    def by(number: Decimal, name: UUID, place: Path) -> str:
        """Look up."""
        return ""

    name = "12345678-1234-5678-1234-567812345678"
    first = key(by, number="1.0", name=name, place="a//b")
    assert first == key(by, number="1.0", name=name.replace("-", ""), place="a/b")
    assert first != key(by, number="1.00", name=name, place="a/b")


def test_a_value_of_an_unknown_class_counts_as_it_was_written():
    @kept
    def enter(door: Door, at: Annotated[str, Field(default_factory=lambda: Odd("x"))]) -> str:
        """Enter."""
        return door.opened_by

    assert key(enter, door={"code": "1"}, at="y") != key(enter, door={"code": "2"}, at="y")
    assert key(enter, door={"code": "1"}, at="y") == key(enter, door={"code": "1"}, at="y")
    with pytest.raises(TypeError, match="is not known to the keys"):
        written(Odd("x"))


def test_arguments_that_do_not_fit_have_no_key():
    assert bound(whole, {"value": "many"}) is None
    assert bound(whole, {"value": 1, "extra": 1}) is None


def test_a_key_function_says_which_calls_are_equal():
    found = tool(whole.original, memo=Memo(key=lambda value: value % 10))
    assert key(found, value=3) == key(found, value=13, factor=9)
    assert key(found, value=3) != key(found, value=4)
    assert key(found, value=3) != key(whole, value=3)


@pytest.mark.parametrize(
    ("scope", "same"),
    [("shared", {"run", "other run", "conversation"}), ("run", {"run"}), ("conversation", {"conversation"})],
)
def test_a_scope_says_who_shares(scope: Scope, same: set[str]):
    call = bound(tool(whole.original, memo=Memo(scope=scope)), {"value": 1})
    assert call is not None
    places = {
        "run": MemoScope(run="r1"),
        "other run": MemoScope(run="r2"),
        "conversation": MemoScope(run="r3", conversation="c"),
    }
    keys = {name: call.key(scope=place) for name, place in places.items()}
    here = call.key(scope=MemoScope(run="r4" if scope == "conversation" else "r1", conversation="c"))
    assert {name for name, made in keys.items() if made == here} == same


def test_tenants_and_dependencies_are_part_of_the_key():
    call = bound(whole, {"value": 1})
    assert call is not None
    keys = [call.key(), call.key(tenant="a"), call.key(tenant="b"), call.key(dependencies=[["env", "A", None]])]
    assert len(set(keys)) == 4


def test_another_definition_is_another_key():
    told = tool(whole.original, deterministic=True, version="1", description="Multiply.")
    assert key(told, value=1) != key(whole, value=1)
