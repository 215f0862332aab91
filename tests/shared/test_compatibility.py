"""What breaks when a schema changes, and which specs it breaks."""

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shared.compatibility import Difference, Schema, breaking, differences
from shared.validity import breaks

ANY: Schema = {"x-kubernetes-preserve-unknown-fields": True}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
IMMUTABLE = [{"rule": "self == oldSelf", "message": "no"}]


def fields(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": [*required]} if required else {})


COMPATIBLE = [
    pytest.param(fields(), fields(a=TEXT), id="a new optional field"),
    pytest.param(fields(), fields(("a",), a={**TEXT, "default": "x"}), id="a new required field with a default"),
    pytest.param(fields(a=INTEGER), fields(a=NUMBER), id="integer to number"),
    pytest.param(fields(a=INTEGER), fields(a={"x-kubernetes-int-or-string": True}), id="integer to either"),
    pytest.param(fields(a=TEXT), fields(a=ANY), id="a string to anything"),
    pytest.param(fields(a={**INTEGER, "maximum": 5}), fields(a={**INTEGER, "maximum": 6}), id="a wider bound"),
    pytest.param(fields(a={**TEXT, "enum": ["x"]}), fields(a={**TEXT, "enum": ["y", "x"]}), id="a longer enum"),
    pytest.param(fields(a={**TEXT, "pattern": "x"}), fields(a=TEXT), id="a pattern less"),
    pytest.param(fields(a=TEXT), fields(a={**TEXT, "nullable": True}), id="null allowed"),
    pytest.param(fields(a=TEXT), fields(a={**TEXT, "description": "new", "title": "A"}), id="descriptions"),
    pytest.param(fields(("a",), a=TEXT), fields(a=TEXT), id="no longer required"),
    pytest.param(fields(a=fields(x=TEXT)), fields(a={"type": "object", **ANY}), id="a map opened"),
    pytest.param(fields(a=fields()), fields(a={"type": "object", "additionalProperties": TEXT}), id="a map typed"),
    pytest.param(fields(a={**TEXT, "x-kubernetes-validations": IMMUTABLE}), fields(a=TEXT), id="no longer immutable"),
]

BREAKING = [
    pytest.param(fields(a=TEXT), fields(), ("spec.a", "removed", "was removed"), id="removed"),
    pytest.param(
        {"type": "object", "properties": {"x.y": TEXT}},
        fields(),
        ('spec["x.y"]', "removed", "was removed"),
        id="removed, with a dot in its key",
    ),
    pytest.param(fields(), fields(("a",), a=TEXT), ("spec.a", "required", "is now required"), id="newly required"),
    pytest.param(
        fields(("a",), a={**TEXT, "default": "x"}),
        fields(("a",), a={**TEXT, "default": "y", "minLength": 1}),
        ("spec.a", "bounds", "minLength was none, is now 1"),
        id="a new bound",
    ),
    pytest.param(
        fields(a=NUMBER), fields(a=INTEGER), ("spec.a", "type", "was number, is now integer"), id="number to integer"
    ),
    pytest.param(fields(a=ANY), fields(a=TEXT), ("spec.a", "type", "was anything, is now string"), id="typed"),
    pytest.param(
        fields(a={"x-kubernetes-int-or-string": True}),
        fields(a=TEXT),
        ("spec.a", "type", "was integer or string, is now string"),
        id="either to string",
    ),
    pytest.param(
        fields(a={**INTEGER, "maximum": 5}),
        fields(a={**INTEGER, "maximum": 4}),
        ("spec.a", "bounds", "maximum was 5, is now 4"),
        id="a narrower bound",
    ),
    pytest.param(
        fields(a={**INTEGER, "minimum": 5}),
        fields(a={**INTEGER, "minimum": 5, "exclusiveMinimum": True}),
        ("spec.a", "bounds", "minimum was 5, is now 5 (exclusive)"),
        id="a bound itself excluded",
    ),
    pytest.param(
        fields(a={**TEXT, "enum": ["x", "y"]}),
        fields(a={**TEXT, "enum": ["x", "z"]}),
        ("spec.a", "enum", "may no longer be y"),
        id="a choice less",
    ),
    pytest.param(
        fields(a=TEXT), fields(a={**TEXT, "enum": ["x"]}), ("spec.a", "enum", "must now be one of x"), id="a new enum"
    ),
    pytest.param(
        fields(a={**TEXT, "pattern": "x"}),
        fields(a={**TEXT, "pattern": "y"}),
        ("spec.a", "pattern", "pattern was x, is now y"),
        id="another pattern",
    ),
    pytest.param(
        fields(a={**TEXT, "nullable": True}),
        fields(a=TEXT),
        ("spec.a", "null", "may no longer be null"),
        id="null taken away",
    ),
    pytest.param(
        fields(a={"type": "array", "items": TEXT}),
        fields(a={"type": "array", "items": {**TEXT, "maxLength": 3}}),
        ("spec.a[]", "bounds", "maxLength was none, is now 3"),
        id="narrower items",
    ),
    pytest.param(
        fields(a={"type": "object", **ANY}),
        fields(a=fields()),
        ("spec.a", "closed", "may no longer hold other fields than the named ones"),
        id="a map closed",
    ),
    pytest.param(
        fields(a={"type": "object", "additionalProperties": TEXT}),
        fields(a={"type": "object", "additionalProperties": INTEGER}),
        ("spec.a.*", "type", "was string, is now integer"),
        id="a map of something else",
    ),
    pytest.param(
        fields(a={"type": "object", **ANY}),
        fields(a={"type": "object", "properties": {"x": TEXT}, **ANY}),
        ("spec.a.x", "type", "was anything, is now string"),
        id="a field of an open map typed",
    ),
    pytest.param(
        fields(a=TEXT),
        fields(a={**TEXT, "x-kubernetes-validations": IMMUTABLE}),
        ("spec.a", "immutable", "can no longer be changed once it is set"),
        id="newly immutable",
    ),
    pytest.param(
        fields(a=TEXT),
        fields(a={**TEXT, "x-kubernetes-validations": [{"rule": "self != ''"}]}),
        ("spec.a", "rule", "must now satisfy self != ''"),
        id="a new rule",
    ),
]


@pytest.mark.parametrize(("old", "new"), COMPATIBLE)
def test_who_uses_the_old_one_need_not_know(old: Schema, new: Schema) -> None:
    assert differences(old, new) == []


@pytest.mark.parametrize(("old", "new", "said"), BREAKING)
def test_a_change_that_breaks_is_named_with_its_path(old: Schema, new: Schema, said: tuple[str, Any, str]) -> None:
    assert breaking(differences(old, new)) == [Difference(*said)]


def test_a_changed_default_is_told_and_breaks_nothing() -> None:
    found = differences(fields(a={**TEXT, "default": "x"}), fields(a={**TEXT, "default": "y"}))
    assert found == [Difference("spec.a", "default", "the default was x, is now y", breaking=False)]


# The law: without a difference that breaks, what was right stays right

NODES: list[Schema] = [
    ANY,
    TEXT,
    INTEGER,
    NUMBER,
    {"type": "boolean"},
    {"x-kubernetes-int-or-string": True},
    {**TEXT, "nullable": True},
    {**TEXT, "minLength": 1},
    {**TEXT, "minLength": 2},
    {**TEXT, "maxLength": 1},
    {**TEXT, "enum": ["x"]},
    {**TEXT, "enum": ["x", "xy"]},
    {**TEXT, "pattern": "^x"},
    {**TEXT, "default": "x"},
    {**INTEGER, "enum": [1]},
    {**INTEGER, "minimum": 1},
    {**INTEGER, "minimum": 1, "exclusiveMinimum": True},
    {**INTEGER, "maximum": 1},
    {**NUMBER, "maximum": 1, "exclusiveMaximum": True},
    {**INTEGER, "multipleOf": 2},
    {**INTEGER, "not": {"enum": [1]}},
    {**INTEGER, "anyOf": [{"minimum": 2}, {"maximum": 0}]},
    {"type": "object"},
    {"type": "object", **ANY},
    {"type": "object", "minProperties": 1, **ANY},
    {"type": "object", "maxProperties": 1, **ANY},
    {"type": "object", "additionalProperties": TEXT},
    {"type": "object", "additionalProperties": INTEGER},
    {"type": "object", "properties": {"x": TEXT}, **ANY},
    fields(x=TEXT),
    fields(x=INTEGER),
    fields(("x",), x=TEXT),
    fields(("x",), x={**TEXT, "default": "y"}),
    fields(x=TEXT, y=TEXT),
    {"type": "array", "items": TEXT},
    {"type": "array", "items": ANY},
    {"type": "array", "items": TEXT, "minItems": 1},
    {"type": "array", "items": TEXT, "maxItems": 1},
    {"type": "array", "items": TEXT, "uniqueItems": True},
    {"type": "array", "items": {**TEXT, "maxLength": 1}},
]
HELD: list[Any] = [
    *(None, True, False, 0, 1, 2, 1.5, 0.5, "", "x", "xy", "yyy"),
    *(
        [],
        ["x"],
        ["x", "x"],
        ["xy"],
        [1],
        [None],
        {},
        {"x": "x"},
        {"x": 1},
        {"y": "y"},
        {"x": "x", "y": "y"},
        {"z": None},
    ),
]
RIGHT = [[not breaks(value, node) for value in HELD] for node in NODES]


@pytest.mark.parametrize("inside", [False, True], ids=["itself", "as a field"])
@pytest.mark.parametrize("old", range(len(NODES)), ids=lambda index: str(NODES[index]))
def test_whatever_one_schema_becomes_what_it_took_is_taken_or_the_difference_is_told(old: int, *, inside: bool) -> None:
    for new, node in enumerate(NODES):
        before, after = (fields(a=each) if inside else each for each in (NODES[old], node))
        lost = [value for value, was, now in zip(HELD, RIGHT[old], RIGHT[new], strict=True) if was and not now]
        assert not lost or breaking(differences(before, after)), f"{lost} are right in {before}, not in {after}"


# Any schema


def bounded(kind: str, low: str, high: str) -> st.SearchStrategy[Schema]:
    bounds = st.fixed_dictionaries({}, optional={low: st.integers(0, 3), high: st.integers(2, 6)})
    return st.builds(lambda found: {"type": kind, **found}, bounds)


SCALARS = st.one_of(
    bounded("string", "minLength", "maxLength"),
    bounded("integer", "minimum", "maximum"),
    bounded("number", "minimum", "maximum"),
    st.builds(lambda enum: {"type": "string", "enum": enum}, st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
    st.just({"type": "string", "pattern": "^[ab]*$"}),
    st.sampled_from([{"type": "boolean"}, {"x-kubernetes-int-or-string": True}, ANY]),
)


def objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    rest = st.one_of(st.just({}), st.just(ANY), st.builds(lambda each: {"additionalProperties": each}, inner))

    def made(found: dict[str, Schema], rest: Schema, required: set[str]) -> Schema:
        if "additionalProperties" in rest:
            return {"type": "object", **rest}
        return {"type": "object", "properties": found, "required": sorted(required & set(found)), **rest}

    return st.builds(made, properties, rest, st.sets(st.sampled_from("abc")))


def arrays(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.builds(
        lambda each, some: {**some, "type": "array", "items": each}, inner, bounded("x", "minItems", "maxItems")
    )


def with_marks(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.builds(lambda found, mark: {**found, **mark}, inner, st.sampled_from([{}, {"nullable": True}]))


SCHEMAS = st.recursive(SCALARS, lambda inner: st.one_of(objects(inner), arrays(inner), with_marks(inner)), max_leaves=8)
SPECS = objects(SCHEMAS)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 7), st.sampled_from([0.5, 2.5]), st.text("abz", max_size=4)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)),
    max_leaves=8,
)


@given(SPECS)
def test_a_schema_does_not_differ_from_itself(schema: Schema) -> None:
    assert differences(schema, {**schema}) == []


def fitting(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that mostly fit: chance alone would hardly ever find one."""
    if schema.get("nullable"):
        return st.one_of(st.none(), fitting({key: value for key, value in schema.items() if key != "nullable"}))
    if schema.get("type") != "object":
        return LEAVES if "type" in schema else VALUES
    named = {key: fitting(each) for key, each in schema.get("properties", {}).items()}
    required = {key: each for key, each in named.items() if key in schema.get("required", [])}
    optional = {key: each for key, each in named.items() if key not in required}
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def near(draw: st.DrawFn, schema: Schema) -> Schema:
    """A schema with a thing or two changed: two drawn apart have hardly anything in common."""
    match draw(st.sampled_from(["same", "same", "other", "mark", "within", "within"])):
        case "other":
            return draw(SCHEMAS)
        case "mark":
            mark: Schema = draw(
                st.sampled_from([{"nullable": True}, {"maximum": 4}, {"maxLength": 2}, {"enum": ["a", 1]}, ANY])
            )
            return {**schema, **mark} if "additionalProperties" not in schema else schema
        case "within":
            changed: Schema = {
                key: draw(near(schema[key])) for key in ("additionalProperties", "items") if key in schema
            }
            if "properties" in schema:
                some = schema["properties"].items()
                kept = {key: draw(near(each)) for key, each in some if draw(st.integers(0, 5))}
                changed["properties"] = kept | draw(st.dictionaries(st.sampled_from("abc"), SCHEMAS, max_size=1))
                changed["required"] = sorted(set(schema["required"]) & set(changed["properties"]))
            return {**schema, **changed}
    return schema


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data(), SPECS)
def test_what_was_right_is_right_where_no_difference_breaks(data: st.DataObject, old: Schema) -> None:
    new = data.draw(near(old))
    spec = data.draw(fitting(old))
    assume(not breaks(spec, old))
    assert not breaks(spec, new) or breaking(differences(old, new))


# Living specs


@pytest.mark.parametrize(
    ("spec", "schema", "said"),
    [
        ({"a": "x"}, fields(), ["spec.a: there is no such field"]),
        ({}, fields(("a",), a=TEXT), ["spec.a: must be given"]),
        ({}, fields(("a",), a={**TEXT, "default": "x"}), []),
        ({"a": None}, fields(a=TEXT), ["spec.a: must be string"]),
        ({"a": None}, fields(a={**TEXT, "nullable": True}), []),
        ({"a": 7}, fields(a={**INTEGER, "nullable": True, "maximum": 5}), ["spec.a: maximum is 5"]),
        ({"a": "1"}, fields(a={"x-kubernetes-int-or-string": True}), []),
        ({"a": 1.5}, fields(a={"x-kubernetes-int-or-string": True}), ["spec.a: must be integer or string"]),
        ({"a": {"b": [1, "x"]}}, fields(a={"type": "object", **ANY}), []),
        (
            {"a": [{"b": 1, "c": 2}]},
            fields(a={"type": "array", "items": fields(b=TEXT)}),
            ["spec.a[0].b: must be string", "spec.a[0].c: there is no such field"],
        ),
        ({"a": "s3cret"}, fields(a={**TEXT, "pattern": "^(a+)+$"}), ["spec.a: must match ^(a+)+$"]),
        ({"a": "a" * 5000 + "b"}, fields(a={**TEXT, "pattern": "^(a+)+$"}), ["spec.a: must match ^(a+)+$"]),
        ({"a": True}, fields(a={**INTEGER, "enum": [1]}), ["spec.a: must be integer", "spec.a: must be one of 1"]),
        (
            {"a": {"x": 1}},
            fields(a={"type": "object", **ANY, "allOf": [{"required": ["y"]}]}),
            ["spec.a.y: must be given"],
        ),
    ],
)
def test_what_is_wrong_with_a_spec_is_told_without_what_it_holds(spec: Any, schema: Schema, said: list[str]) -> None:
    assert sorted(breaks(spec, schema)) == sorted(said)


def test_a_rule_about_a_field_that_is_new_breaks_nobody() -> None:
    rule = {"rule": "self.?spec.?disk.hasValue() == oldSelf.?spec.?disk.hasValue()", "fieldPath": ".spec.disk"}
    text = {"type": "string"}
    before = {"type": "object", "properties": {"size": text}}
    after = {"type": "object", "properties": {"size": text, "disk": text}, "x-kubernetes-validations": [rule]}
    assert breaking(differences(before, after)) == []
    known = {"type": "object", "properties": {"size": text, "disk": text}}
    assert [each.kind for each in breaking(differences(known, after))] == ["rule"]
