"""What consumers may set, and what they can't, whatever they send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.charts import inspect
from shared.errors import Refused
from shared.inference import FIXED
from shared.selection import Selection, select
from shared.validity import breaks
from shared.values import (
    Path,
    consumer_values,
    format_path,
    get,
    has,
    leaves,
    matches,
    merge,
    parse_path,
    parse_pattern,
    release_values,
)
from tests.builders import offering
from tests.shared.archives import CHART, chart, chart_with

TEXT = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=4)
KEYS = st.sampled_from(["a", "b", "c", "global", "x.y", "k/l", "type", "properties", "*", "", "plan", "ü"]) | TEXT
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)

SIZE = {"path": "primary.persistence.size"}
DEEP: dict[str, Any] = {
    "primary": {"persistence": {"size": "8Gi", "enabled": True}, "resources": {}},
    "replica": {"persistence": {"size": "1Gi"}, "resources": {}},
    "password": "",
    "open": {},
}


def selection(declared: dict[str, Any] = DEEP, **spec: Any) -> Selection:
    return select(offering(**spec), chart_with(declared))


def names(schema: dict[str, Any]) -> dict[str, Any]:
    """The names of a schema's properties, as a tree."""
    return {name: names(each) for name, each in schema.get("properties", {}).items()}


def refused(**spec: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        selection(**spec)
    return caught.value.reason, caught.value.message


@given(MAPS)
def test_any_chart_s_own_values_are_accepted_by_its_schema(values: dict[str, Any]) -> None:
    assert breaks(json.loads(json.dumps(values)), selection(values).schema) == []


def paths_of(values: dict[str, Any], under: Path = ()) -> list[Path]:
    found = []
    for key, value in values.items():
        found.append((*under, key))
        if isinstance(value, dict):
            found += paths_of(value, (*under, key))
    return found


@given(MAPS, MAPS, st.data())
def test_nothing_but_parameters_changes_whatever_is_sent(
    declared: dict[str, Any], sent: dict[str, Any], data: st.DataObject
) -> None:
    candidates = [path for path in paths_of(declared) + paths_of(sent) if all(path)]
    chosen = data.draw(st.lists(st.sampled_from(candidates), max_size=3, unique=True)) if candidates else []
    found = offering(parameters=[{"path": format_path(path)} for path in chosen])
    given_values = consumer_values(found.spec.parameters, sent)
    for path, _ in leaves(given_values):
        assert any(path[: len(each)] == each for each in chosen) or any(each[: len(path)] == path for each in chosen)
    for path in chosen:
        if has(sent, path):
            assert get(given_values, path) == get(sent, path)


@given(MAPS, MAPS)
def test_what_the_provider_fixes_stays_fixed_whatever_is_sent(fixed: dict[str, Any], sent: dict[str, Any]) -> None:
    pinned = json.loads(json.dumps(fixed).replace("$", ""))
    merged = release_values(offering(values=pinned), sent, {})
    for path, value in leaves(pinned):
        if value != {}:
            assert has(merged, path)
            assert get(merged, path) == value


@given(MAPS)
def test_an_empty_spec_changes_nothing(values: dict[str, Any]) -> None:
    paths = [{"path": format_path(path)} for path in paths_of(values) if all(path)]
    assert consumer_values(offering(parameters=paths[:5]).spec.parameters, {}) == {}


def test_a_map_is_a_parameter_with_all_that_is_in_it() -> None:
    found = selection(
        parameters=[{"path": "primary", "name": "main"}], values={"primary": {"persistence": {"enabled": True}}}
    )
    assert names(found.schema) == {"main": {"persistence": {"size": {}, "enabled": {}}, "resources": {}}}
    assert found.schema["properties"]["main"]["properties"]["persistence"]["properties"]["enabled"] == {
        "type": "boolean",
        "description": FIXED,
    }
    assert found.defaults == {"main": DEEP["primary"]}


def test_a_parameter_that_the_provider_fixes_says_so() -> None:
    found = selection(parameters=[SIZE], values={"primary": {"persistence": {"size": "1Gi"}}}).schema
    size = found["properties"]["primary"]["properties"]["persistence"]["properties"]["size"]
    assert size == {"type": "string", "description": FIXED}


def test_a_chart_without_values_can_have_plans() -> None:
    assert names(selection({}, plans=[{"name": "small"}]).schema) == {"plan": {}}


def test_patterns_choose_several() -> None:
    every = selection(parameters=[{"path": "*.persistence.*"}, {"path": "**.resources"}])
    assert names(every.schema) == {
        "primary": {"persistence": {"size": {}, "enabled": {}}, "resources": {}},
        "replica": {"persistence": {"size": {}}, "resources": {}},
    }


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("primary.*", [("primary", "persistence"), ("primary", "resources")]),
        ("*.persistence.si*", [("primary", "persistence", "size"), ("replica", "persistence", "size")]),
        ("**", [("primary",), ("replica",), ("password",), ("open",)]),
        ("**.size", [("primary", "persistence", "size"), ("replica", "persistence", "size")]),
        ("primary.**.size", [("primary", "persistence", "size")]),
        ('["*"]', []),
    ],
)
def test_a_pattern_means_the_shallowest_of_its_matches(pattern: str, paths: list[Path]) -> None:
    assert sorted(matches(parse_pattern(pattern), DEEP)) == sorted(paths)


def test_one_value_of_a_map_can_be_told_more_exactly_or_get_a_name_of_its_own() -> None:
    parameters = [
        {"path": "primary.persistence.size", "name": "storage", "required": True},
        {"path": "primary"},
        {"path": "primary.persistence.enabled", "description": "Keep data"},
    ]
    found = selection(parameters=parameters)
    assert names(found.schema) == {"primary": {"persistence": {"enabled": {}}, "resources": {}}, "storage": {}}
    enabled = found.schema["properties"]["primary"]["properties"]["persistence"]["properties"]["enabled"]
    assert enabled == {"type": "boolean", "description": "Keep data\nDefault: true"}
    sent = {"primary": {"persistence": {"size": "sneaky", "enabled": False}}, "storage": "9Gi"}
    assert consumer_values(offering(parameters=parameters).spec.parameters, sent) == {
        "primary": {"persistence": {"size": "9Gi", "enabled": False}}
    }


def test_what_has_a_name_of_its_own_is_not_to_be_had_through_a_pattern() -> None:
    parameters = [{**SIZE, "name": "storage"}, {"path": "primary.persistence.*"}]
    assert names(selection(parameters=parameters).schema) == {
        "storage": {},
        "primary": {"persistence": {"enabled": {}}},
    }
    sent = {"primary": {"persistence": {"size": "sneaky"}}, "storage": "9Gi"}
    assert consumer_values(offering(parameters=parameters).spec.parameters, sent) == {
        "primary": {"persistence": {"size": "9Gi"}}
    }


def test_a_default_deep_inside_applies_to_an_empty_spec() -> None:
    found = selection(parameters=[{"path": "primary.persistence.size", "default": "20Gi"}]).schema
    assert found["default"] == {}
    assert found["properties"]["primary"]["default"] == {}
    assert found["properties"]["primary"]["properties"]["persistence"]["default"] == {}


def test_a_secret_parameter_takes_a_reference_and_no_value() -> None:
    found = selection(parameters=[{"path": "password", "secret": True, "required": True}])
    assert names(found.schema) == {"password": {"name": {}, "key": {}}}
    assert found.schema["properties"]["password"]["required"] == ["name", "key"]
    assert "password" not in found.defaults


SUBCHART = {
    "charts__cache__Chart_yaml": "apiVersion: v2\nname: cache\nversion: 0.3.0\n",
    "charts__cache__values_yaml": "size: 1\nglobal: {registry: docker.io}\nexports: {data: {mode: fast}}\n",
}


def with_subchart(dependency: str = "", values: str = "{}", **spec: Any) -> Selection:
    metadata = f"{CHART}dependencies: [{{name: cache, version: 0.3.0, alias: store{dependency}}}]\n"
    return select(offering(**spec), inspect(chart(Chart_yaml=metadata, values_yaml=values, **SUBCHART)))


def test_the_globals_of_a_subchart_do_not_come_with_it() -> None:
    found = with_subchart(parameters=[{"path": "store"}])
    assert found.reserved == [("store", "global")]
    assert "global" not in found.schema["properties"]["store"]["properties"]
    sent = {"store": {"size": 2, "global": {"registry": "evil"}}}
    parameters = offering(parameters=[{"path": "store"}]).spec.parameters
    assert consumer_values(parameters, sent, found.reserved) == {"store": {"size": 2}}


def test_a_global_that_only_a_subchart_declares_can_be_a_parameter() -> None:
    found = with_subchart(parameters=[{"path": "global.registry"}])
    assert found.schema["properties"]["global"]["properties"]["registry"] == {
        "type": "string",
        "description": 'Default: "docker.io"',
    }


def test_a_value_that_the_chart_copies_elsewhere_is_only_a_parameter_together_with_that() -> None:
    copies = ", import-values: [data]"
    assert with_subchart(copies, parameters=[{"path": "store"}]).reserved == [
        ("store", "exports", "data", "mode"),
        ("store", "global"),
    ]
    with pytest.raises(
        Refused, match=r"parameters\[0\]\.path: the chart copies store.exports.data.mode to mode"
    ) as one:
        with_subchart(copies, parameters=[{"path": "store.exports.data.mode"}])
    assert one.value.reason == "UnsafeParameter"
    both = [{"path": "store.exports.data.mode"}, {"path": "mode", "type": "string"}]
    assert with_subchart(copies, parameters=both).reserved == []


def test_what_switches_a_subchart_can_be_a_parameter_though_no_file_declares_it() -> None:
    found = with_subchart(", condition: store.enabled", parameters=[{"path": "store.enabled"}])
    assert found.schema["properties"]["store"]["properties"]["enabled"] == {
        "type": "boolean",
        "description": "Whether store is installed",
    }


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"parameters": [{"path": "nothing.*"}]}, "UnknownParameter", "no value that nothing.* means"),
        ({"parameters": [{"path": "primary.*", "name": "x"}]}, "InvalidParameter", "parameters[0].name"),
        ({"parameters": [{"path": "primary.*", "default": 1}]}, "InvalidParameter", "parameters[0].default"),
        ({"parameters": [{"path": "password", "minimum": 1}]}, "InvalidParameter", "state type: integer or number"),
        ({"parameters": [{"path": "primary.persistence.enabled", "enum": [True, "x"]}]}, "InvalidParameter", "enum[1]"),
        ({"parameters": [{"path": "open", "immutable": True}]}, "InvalidParameter", "parameters[0].immutable"),
        ({"parameters": [{"path": "password", "name": "a.b"}, {"path": "open", "name": "a"}]},
         "DuplicateParameter", "lies inside"),
        ({"parameters": [SIZE, {**SIZE, "name": "size"}]}, "DuplicateParameter", "has another name already"),
        ({"parameters": [{"path": "open"}, {"path": "password", "name": "open.x"}]},
         "DuplicateParameter", "lies inside"),
    ],
)  # fmt: skip
def test_what_can_t_be_chosen_is_refused_with_field_and_cause(spec: dict[str, Any], reason: str, words: str) -> None:
    said, message = refused(**spec)
    assert said == reason
    assert words in message


def test_paths_are_written_as_they_are_read() -> None:
    assert parse_path(format_path(("a", "x.y"))) == ("a", "x.y")
    assert merge({"a": 1}, {}) == {"a": 1}
