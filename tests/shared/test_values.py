"""How values are addressed, merged and filled in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Refused
from shared.values import (
    consumer_values,
    format_path,
    has,
    leaves,
    merge,
    nest,
    parse_path,
    plan_of,
    release_values,
    substitute,
)
from tests.builders import offering

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ('a["x.y"]', ("a", "x.y")),
        ('["x.y/z"].b', ("x.y/z", "b")),
        (r'a["say \"hi\""]', ("a", 'say "hi"')),
        ("kebab-case.under_score", ("kebab-case", "under_score")),
    ],
)
def test_a_path_names_its_steps(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", 'a["', "a[0]", "a[b]", 'a"b'])
def test_what_is_no_path_is_refused_with_the_field(text: str) -> None:
    with pytest.raises(Refused, match=r"spec\.parameters\[3\]\.path"):
        parse_path(text, "spec.parameters[3].path")


@given(st.lists(KEYS, min_size=1, max_size=4).map(tuple))
def test_a_path_that_is_written_is_read_back(path: tuple[str, ...]) -> None:
    assert parse_path(format_path(path)) == path


@given(MAPS, MAPS)
def test_what_is_merged_above_wins(below: dict[str, Any], above: dict[str, Any]) -> None:
    merged = merge(below, above)
    assert set(merged) == set(below) | set(above)
    for path, value in leaves(above):
        assert has(merged, path)
        under = merged
        for step in path:
            under = under[step]
        assert under == value or (value == {} and isinstance(under, dict))


@given(MAPS)
def test_merging_nothing_changes_nothing(values: dict[str, Any]) -> None:
    assert merge(values, {}) == values == merge({}, values)


def test_placeholders_are_filled_in_everywhere_and_can_be_escaped() -> None:
    words = {"instance.name": "orders"}
    value = {"a": ["$(instance.name)-db", 3, None], "b": "$$(instance.name)", "c": "$HOME (x) $"}
    assert substitute(value, words, "spec.values") == {
        "a": ["orders-db", 3, None],
        "b": "$(instance.name)",
        "c": "$HOME (x) $",
    }


def test_an_unknown_placeholder_is_refused_with_its_place() -> None:
    with pytest.raises(Refused, match=r"spec\.values\.a\[0\]: \$\(instance\.nmae\)") as refused:
        substitute({"a": ["$(instance.nmae)"]}, {"instance.name": "x"}, "spec.values")
    assert refused.value.reason == "UnknownPlaceholder"


def test_only_parameters_get_through() -> None:
    parameters = offering(parameters=[{"path": "primary.persistence.size", "name": "storage"}]).spec.parameters
    assert consumer_values(parameters, {"storage": "5Gi", "primary": {"x": 1}, "image": "evil"}) == {
        "primary": {"persistence": {"size": "5Gi"}}
    }


def test_without_parameters_all_of_the_spec_but_the_plan_goes_to_the_chart() -> None:
    spec = {"plan": "small", "a": {"b": 1}}
    assert release_values(offering(plans=[{"name": "small"}]), spec, {}) == {"a": {"b": 1}}
    assert release_values(offering(), spec, {}) == spec  # a value of the chart that is called so


def test_the_provider_wins_over_the_plan_and_the_plan_over_the_consumer() -> None:
    found = offering(
        parameters=[{"path": "a"}, {"path": "b"}, {"path": "c"}],
        plans=[{"name": "small", "values": {"b": "plan", "c": "plan"}}],
        values={"c": "$(offering.name)"},
    )
    spec = {"a": "consumer", "b": "consumer", "c": "consumer"}
    assert release_values(found, spec, {"offering.name": "database"}) == {"a": "consumer", "b": "plan", "c": "database"}


def test_an_instance_is_on_the_plan_it_names_else_on_the_default_one() -> None:
    found = offering(plans=[{"name": "small"}, {"name": "large", "default": True}])
    assert [plan.name for plan in (plan_of(found, {"plan": "small"}), plan_of(found, {})) if plan] == ["small", "large"]
    with pytest.raises(Refused, match=r"huge.*none of small, large"):
        plan_of(found, {"plan": "huge"})


@given(KEYS, VALUES)
def test_nesting_puts_a_value_where_its_path_says(key: str, value: Any) -> None:
    assert nest((key, "x"), value) == {key: {"x": value}}
