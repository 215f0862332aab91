"""The same instance in another version of its API, and back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.compatibility import Schema
from shared.conversion import UNCONVERTED, Edition, Places, convert, unconverted
from shared.values import Path, parse_path

ANY: Schema = {"x-kubernetes-preserve-unknown-fields": True}
OPEN: Schema = {"type": "object", **ANY}
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}


def fields(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


def edition(version: str, places: dict[str, str] | None, schema: Schema = OPEN, *, plans: bool = False) -> Edition:
    pairs = None if places is None else tuple((parse_path(name), parse_path(path)) for name, path in places.items())
    return Edition(version, pairs, plans, schema)


def instance(version: str, spec: Any, kept: Any = None) -> dict[str, Any]:
    noted = {"annotations": {UNCONVERTED: json.dumps(kept, sort_keys=True, separators=(",", ":"))}} if kept else {}
    return {
        "apiVersion": f"acme.example.com/{version}",
        "kind": "Database",
        "metadata": {"name": "orders", "uid": "u", **noted},
        "spec": spec,
        "status": {"conditions": []},
    }


SIZE, REPLICAS = "primary.persistence.size", "primary.replicas"

CASES = [
    pytest.param({"storage": SIZE}, {"disk": SIZE}, {"storage": "5Gi"}, {"disk": "5Gi"}, None, id="renamed"),
    pytest.param(
        {"storage": SIZE}, {"db.disk": SIZE}, {"storage": "5Gi"}, {"db": {"disk": "5Gi"}}, None, id="moved in"
    ),
    pytest.param({"storage": SIZE}, {"storage": "disk.size"}, {"storage": "5Gi"}, {"storage": "5Gi"}, None, id="moved"),
    pytest.param(
        {"storage": SIZE, "replicas": REPLICAS},
        {"storage": SIZE},
        {"storage": "5Gi", "replicas": 2},
        {"storage": "5Gi"},
        {"values": {REPLICAS: 2}},
        id="no place",
    ),
    pytest.param(
        {"primary": "primary"},
        {"disk": SIZE},
        {"primary": {"persistence": {"size": "5Gi"}, "tags": ["x"]}},
        {"disk": "5Gi"},
        {"values": {"primary.tags": ["x"]}},
        id="a part",
    ),
    pytest.param(
        {"disk": SIZE},
        {"primary": "primary"},
        {"disk": "1"},
        {"primary": {"persistence": {"size": "1"}}},
        None,
        id="whole",
    ),
    pytest.param(
        {"disk": SIZE},
        {"primary": "primary", "storage": SIZE},
        {"disk": "1"},
        {"storage": "1"},
        None,
        id="the nearest of two",
    ),
    pytest.param(None, {"disk": SIZE}, {"primary": {"persistence": {"size": "1"}}}, {"disk": "1"}, None, id="chosen"),
    pytest.param({"disk": SIZE}, None, {"disk": "1"}, {"primary": {"persistence": {"size": "1"}}}, None, id="opened"),
]


@pytest.mark.parametrize(("old", "new", "before", "after", "kept"), CASES)
def test_a_value_follows_its_path(old: Any, new: Any, before: Any, after: Any, kept: Any) -> None:
    one, two = edition("v1", old), edition("v2", new)
    converted = convert(instance("v1", before), one, two)
    assert converted == instance("v2", after, kept)
    assert convert(converted, two, one) == instance("v1", before)


def test_the_plan_stays_where_there_are_plans() -> None:
    one = edition("v1", {"storage": SIZE}, plans=True)
    two, three = edition("v2", {"disk": SIZE}, plans=True), edition("v3", {"disk": SIZE})
    ordered = instance("v1", {"plan": "small", "storage": "1"})
    assert convert(ordered, one, two) == instance("v2", {"plan": "small", "disk": "1"})
    without = convert(ordered, one, three)
    assert without["spec"] == {"disk": "1"}
    assert unconverted(without, []) == ["plan"]
    assert convert(without, three, one) == ordered


def test_a_value_of_another_type_is_kept_aside_and_named() -> None:
    one = edition("v1", {"replicas": REPLICAS}, fields(replicas=TEXT))
    two = edition("v2", {"replicas": REPLICAS}, fields(replicas=INTEGER))
    converted = convert(instance("v1", {"replicas": "two"}), one, two)
    assert converted == instance("v2", {}, {"values": {REPLICAS: "two"}})
    assert unconverted(converted, [one, two]) == [REPLICAS]
    assert convert(converted, two, one) == instance("v1", {"replicas": "two"})


def test_what_is_set_by_default_nobody_asked_for() -> None:
    by_default = fields(replicas={**INTEGER, "default": 2}, plan={**TEXT, "default": "small"})
    one = edition("v1", {"replicas": REPLICAS}, by_default, plans=True)
    two = edition("v2", {"disk": SIZE})
    untouched = convert(instance("v1", {"replicas": 2, "plan": "small"}), one, two)
    chosen = convert(instance("v1", {"replicas": 3, "plan": "large"}), one, two)
    assert [unconverted(each, [one, two]) for each in (untouched, chosen)] == [[], ["plan", REPLICAS]]


def test_a_field_that_the_schema_would_cut_off_is_kept() -> None:
    one = edition("v1", None, fields(a=fields(x=TEXT, y=TEXT)))
    two = edition("v2", None, fields(a=fields(x=TEXT)))
    converted = convert(instance("v1", {"a": {"x": "1", "y": "2"}}), one, two)
    assert converted == instance("v2", {"a": {"x": "1"}}, {"values": {"a.y": "2"}})


def test_what_is_changed_in_the_other_version_is_changed_and_the_rest_is_kept() -> None:
    one, two = edition("v1", {"storage": SIZE, "old": "o"}), edition("v2", {"disk": SIZE})
    converted = convert(instance("v1", {"storage": "1", "old": 7}), one, two)
    converted["spec"]["disk"] = "2"
    assert convert(converted, two, one) == instance("v1", {"storage": "2", "old": 7})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"values":[]}', '{"values":{"..":1}}', '{"originals":{"v1":1}}'])
def test_a_note_that_is_none_of_ours_does_no_harm(text: str) -> None:
    one, two = edition("v1", {"storage": SIZE}), edition("v2", {"disk": SIZE})
    found = instance("v1", {"storage": "1"})
    found["metadata"]["annotations"] = {UNCONVERTED: text, "mine": "yes"}
    converted = convert(found, one, two)
    assert converted["spec"] == {"disk": "1"}
    assert converted["metadata"]["annotations"] == {"mine": "yes"}


def test_what_no_annotation_can_hold_is_lost_to_the_other_version_and_stops_nobody() -> None:
    one, two = edition("v1", {"note": "n"}), edition("v2", {"disk": SIZE})
    converted = convert(instance("v1", {"note": "x" * 300_000}), one, two)
    assert converted == instance("v2", {})


# Any parameters, any spec

KEYS = st.sampled_from(["a", "b", "c", "x.y", "plan", "", "type"])
PATHS: st.SearchStrategy[Path] = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
PLACES: st.SearchStrategy[Places | None] = st.one_of(
    st.none(), st.lists(st.tuples(PATHS, PATHS), max_size=5).map(tuple)
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just({}), st.just([]))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=10,
)
SPECS = st.dictionaries(KEYS, VALUES, max_size=4)
SCHEMAS = st.recursive(
    st.sampled_from([TEXT, INTEGER, ANY, OPEN, {"type": "boolean", "nullable": True}]),
    lambda inner: st.builds(
        lambda some: {"type": "object", "properties": some}, st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)


def editions(version: str) -> st.SearchStrategy[Edition]:
    return st.builds(Edition, st.just(version), PLACES, st.booleans(), SCHEMAS)


@given(SPECS, editions("v1"), editions("v2"))
def test_an_object_comes_back_as_it_went(spec: Any, one: Edition, two: Edition) -> None:
    found = instance("v1", spec)
    assert convert(convert(found, one, two), two, one) == found


@given(SPECS, editions("v1"), editions("v2"), editions("v3"))
def test_an_object_comes_back_over_a_third_version(spec: Any, one: Edition, two: Edition, three: Edition) -> None:
    """As when it is read in the one version and written in the other while a third is stored."""
    found = convert(instance("v1", spec), one, two)
    assert convert(convert(found, two, three), three, two) == found


@given(SPECS, VALUES, editions("v1"), editions("v2"))
def test_whatever_somebody_notes_a_conversion_succeeds(spec: Any, kept: Any, one: Edition, two: Edition) -> None:
    found = instance("v1", spec, {"values": kept, "originals": kept})
    converted = convert(found, one, two)
    assert {**converted, "metadata": 0, "spec": 0} == {
        **found,
        "apiVersion": "acme.example.com/v2",
        "metadata": 0,
        "spec": 0,
    }
