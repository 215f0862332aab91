"""A chart's values.schema.json, translated and checked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import FormatChecker

from shared.errors import Refused
from shared.jsonschemas import Translation, check, parse, structural
from shared.jsonschemas.drafts import draft_of
from tests.shared.json_schemas import Structural, bitnami, documents, kubernetes, partial, plain, values

ANY = {"x-kubernetes-preserve-unknown-fields": True}
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


def read(document: Any) -> dict[str, Any]:
    return parse(json.dumps(document).encode(), "values.schema.json")


def of(schema: Any, draft: str = DRAFT_7, **more: Any) -> Translation:
    """Of the value x."""
    return structural(read({"$schema": draft, "properties": {"x": schema}, **more}), ("x",))


def left(*keywords: str) -> tuple[str, ...]:
    return tuple(f"/properties/x/{keyword}" for keyword in keywords)


EXACT = {
    "a type": ({"type": "string"}, {"type": "string"}),
    "nothing": ({}, ANY),
    "true": (True, ANY),
    "null too": ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
    "null as an alternative": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
    "integer or string": ({"type": ["string", "integer"]}, {"x-kubernetes-int-or-string": True}),
    "integer or string or null": (
        {"type": ["string", "integer", "null"], "maxLength": 5, "minimum": 1},
        {"x-kubernetes-int-or-string": True, "nullable": True, "maxLength": 5, "minimum": 1},
    ),
    "integer or string as alternatives": (
        {"oneOf": [{"type": "integer", "maximum": 9}, {"type": "string", "pattern": "^a"}]},
        {"x-kubernetes-int-or-string": True, "maximum": 9, "pattern": "^a"},
    ),
    "integer is a number": ({"type": ["integer", "number"]}, {"type": "number"}),
    "an enum tells its type": ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    "an enum of integers and strings": (
        {"enum": [80, "http"]},
        {"x-kubernetes-int-or-string": True, "enum": [80, "http"]},
    ),
    "an enum of everything": ({"enum": [True, "a", 1.5]}, {**ANY, "enum": [True, 1.5, "a"]}),
    "an enum with null": ({"enum": ["a.b", None]}, {"type": "string", "nullable": True, "pattern": r"^(?:a\.b)$"}),
    "an enum of both booleans": ({"enum": [True, False]}, {"type": "boolean"}),
    "a constant": ({"const": 3}, {"type": "integer", "enum": [3]}),
    "constants as alternatives": (
        {"oneOf": [{"const": "a", "title": "First"}, {"const": "b"}]},
        {"type": "string", "enum": ["a", "b"]},
    ),
    "enums met": ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, {"type": "string", "enum": ["b"]}),
    "a type narrows an enum": ({"type": "string", "enum": ["a", 1]}, {"type": "string", "enum": ["a"]}),
    "limits": ({"type": "integer", "minimum": 1, "maximum": 9}, {"type": "integer", "minimum": 1, "maximum": 9}),
    "an excluded limit": (
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
    ),
    "an excluded fraction for an integer": (
        {"type": "integer", "exclusiveMaximum": 1.5},
        {"type": "integer", "maximum": 1},
    ),
    "the tighter of two limits": (
        {"type": "integer", "minimum": 3, "exclusiveMinimum": 3},
        {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
    ),
    "multiples": (
        {"allOf": [{"type": "integer", "multipleOf": 4}, {"multipleOf": 6}]},
        {"type": "integer", "multipleOf": 12},
    ),
    "lengths": (
        {"type": "string", "minLength": 1, "maxLength": 5.0},
        {"type": "string", "minLength": 1, "maxLength": 5},
    ),
    "a pattern": ({"type": "string", "pattern": r"^\d+Gi$"}, {"type": "string", "pattern": r"^\d+Gi$"}),
    "two patterns": (
        {"type": "string", "pattern": "a", "allOf": [{"pattern": "b"}]},
        {"type": "string", "pattern": "a", "allOf": [{"pattern": "b"}]},
    ),
    "a password": ({"type": "string", "format": "password"}, {"type": "string", "format": "password"}),
    "a list": (
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    ),
    "a list of anything": ({"type": "array"}, {"type": "array", "items": ANY}),
    "a list of nothing": ({"type": "array", "items": False}, {"type": "array", "items": ANY, "maxItems": 0}),
    "a map": ({"type": "object"}, {"type": "object", **ANY}),
    "an empty map": ({"type": "object", "additionalProperties": False}, {"type": "object"}),
    "a map of integers": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    "properties and no others": (
        {"type": "object", "properties": {"a": {"type": "string"}, "b": False}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": "string"}}},
    ),
    "properties and perhaps others": (
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, **ANY},
    ),
    "properties that are called like keywords": (
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"type": "string"} for name in ("type", "properties", "$ref", "default", "enum", "$id")
            },
        },
        {
            "type": "object",
            "properties": {
                name: {"type": "string"} for name in ("type", "properties", "$ref", "default", "enum", "$id")
            },
        },
    ),
    "a list's items are whole": (
        {"type": "array", "items": {"type": "object", "required": ["a"], "minProperties": 1, "maxProperties": 3}},
        {
            "type": "array",
            "items": {"type": "object", **ANY, "required": ["a"], "minProperties": 1, "maxProperties": 3},
        },
    ),
    "maps met": (
        {
            "type": "object",
            "allOf": [
                {"properties": {"a": {"type": "string"}}},
                {"properties": {"a": {"maxLength": 5}, "b": {"type": "integer"}}},
            ],
        },
        {
            "type": "object",
            "properties": {"a": {"type": "string", "maxLength": 5}, "b": {"type": "integer"}},
            **ANY,
        },
    ),
    "closed maps met": (
        {
            "type": "object",
            "allOf": [
                {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
                {"properties": {"b": {}, "c": {}}, "additionalProperties": False},
            ],
        },
        {"type": "object", "properties": {"b": ANY}},
    ),
    "what tools add": (
        {
            "type": "string",
            "default": "a",
            "examples": ["b"],
            "$comment": "c",
            "readOnly": True,
            "form": True,
            "render": {},
        },
        {"type": "string"},
    ),
    "title and description": (
        {"type": "string", "title": "Size", "description": "Of the volume", "form": True},
        {"type": "string", "description": "Size\nOf the volume"},
    ),
    "a title that is said again": (
        {"type": "string", "title": "The size", "description": "The size of the volume"},
        {"type": "string", "description": "The size of the volume"},
    ),
    "a title that is the name": ({"type": "string", "title": "X"}, {"type": "string"}),
}


@pytest.mark.parametrize(("schema", "wanted"), EXACT.values(), ids=EXACT)
def test_what_can_be_said_is_said(schema: Any, wanted: Any) -> None:
    assert of(schema) == Translation(wanted, ())


WEAKER = {
    "never": (False, ANY, ("",)),
    "a password or anything else": ({"format": "password"}, ANY, ()),
    "only null": ({"type": "null"}, ANY, ("type",)),
    "string or boolean": ({"type": ["string", "boolean"], "minLength": 1}, {**ANY, "minLength": 1}, ("type",)),
    "properties without a type": (
        {"properties": {"a": {"type": "string"}}},
        {**ANY, "properties": {"a": {"type": "string"}}},
        (),
    ),
    "a required property": ({"type": "object", "required": ["a"]}, {"type": "object", **ANY}, ("required",)),
    "sizes of a map": (
        {"type": "object", "minProperties": 1, "maxProperties": 2},
        {"type": "object", **ANY},
        ("minProperties", "maxProperties"),
    ),
    "an enum of maps": ({"enum": [{"a": 1}]}, {"type": "object", **ANY}, ("enum",)),
    "an enum of integers and null": ({"enum": [1, None]}, {"type": "integer", "nullable": True}, ("enum",)),
    "an enum that is too long": ({"enum": [*range(2000)]}, ANY, ("enum",)),
    "a pattern that looks ahead": ({"type": "string", "pattern": "^(?!a)"}, {"type": "string"}, ("pattern",)),
    "a pattern that looks back": ({"type": "string", "pattern": r"(a)\1"}, {"type": "string"}, ("pattern",)),
    "a pattern of another dialect": ({"type": "string", "pattern": r"^\u0041\Z"}, {"type": "string"}, ("pattern",)),
    "a format": ({"type": "string", "format": "ipv4"}, {"type": "string"}, ("format",)),
    "items that differ": ({"type": "array", "uniqueItems": True}, {"type": "array", "items": ANY}, ("uniqueItems",)),
    "a tuple": (
        {"type": "array", "items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
        {"type": "array", "items": {"x-kubernetes-int-or-string": True}, "maxItems": 2},
        ("items",),
    ),
    "an open tuple": ({"type": "array", "items": [{"type": "integer"}]}, {"type": "array", "items": ANY}, ("items",)),
    "one item that fits": ({"type": "array", "contains": {"const": 1}}, {"type": "array", "items": ANY}, ("contains",)),
    "properties and typed others": (
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, **ANY},
        ("additionalProperties",),
    ),
    "keys by pattern": (
        {"type": "object", "patternProperties": {"^S_": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": "string"}},
        ("patternProperties",),
    ),
    "keys by patterns": (
        {"type": "object", "patternProperties": {"^S_": {"type": "string"}, "^I_": {"type": "integer"}}},
        {"type": "object", **ANY},
        ("patternProperties",),
    ),
    "names of keys": (
        {"type": "object", "propertyNames": {"maxLength": 3}},
        {"type": "object", **ANY},
        ("propertyNames",),
    ),
    "dependencies": ({"type": "object", "dependencies": {"a": ["b"]}}, {"type": "object", **ANY}, ("dependencies",)),
    "a negation": ({"type": "string", "not": {"const": "a"}}, {"type": "string"}, ("not",)),
    "a condition": ({"type": "string", "if": {"const": "a"}, "then": False}, {"type": "string"}, ("if",)),
    "alternatives of one type": (
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "string", "maxLength": 5, "pattern": "a"}]},
        {"type": "string", "maxLength": 5},
        ("anyOf",),
    ),
    "a fraction of a fraction": ({"type": "number", "multipleOf": 0.1}, {"type": "number"}, ("multipleOf",)),
    "an excluded fraction": (
        {"type": "number", "exclusiveMinimum": 0.5},
        {"type": "number", "minimum": 0.5},
        ("minimum",),
    ),
    "a limit beyond all integers": ({"type": "integer", "maximum": 2**63 - 1}, {"type": "integer"}, ("maximum",)),
    "a limit floats don't have": (
        {"type": "integer", "maximum": 2**53 + 1},
        {"type": "integer", "maximum": 2**53 + 2},
        ("maximum",),
    ),
}


@pytest.mark.parametrize(("schema", "wanted", "keywords"), WEAKER.values(), ids=WEAKER)
def test_what_can_t_be_said_is_left_and_named(schema: Any, wanted: Any, keywords: tuple[str, ...]) -> None:
    names = tuple(f"/properties/x/{keyword}".rstrip("/") for keyword in keywords)
    assert of(schema) == Translation(wanted, names)


@pytest.mark.parametrize(
    ("draft", "schema", "wanted"),
    [
        (
            DRAFT_4,
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            {"minimum": 1, "exclusiveMinimum": True},
        ),
        (DRAFT_4, {"type": "integer", "const": 1}, {}),
        (DRAFT_4, {"type": "integer", "contains": {"type": "string"}}, {}),
        (DRAFT_7, {"type": "integer", "$ref": "#/definitions/a"}, {"maximum": 5, "type": None, **ANY}),
        (DRAFT_2019, {"type": "integer", "$ref": "#/definitions/a", "minimum": 1}, {"minimum": 1, "maximum": 5}),
        (DRAFT_2020, {"type": "integer", "$ref": "#/definitions/a"}, {"maximum": 5}),
    ],
    ids=[
        "exclusive in draft 4",
        "const in draft 4",
        "contains in draft 4",
        "siblings in 7",
        "in 2019-09",
        "in 2020-12",
    ],
)
def test_a_keyword_counts_in_the_drafts_that_have_it(draft: str, schema: Any, wanted: Any) -> None:
    found = of(schema, draft, definitions={"a": {"maximum": 5}})
    merged = {"type": "integer", **wanted}
    assert found == Translation({key: value for key, value in merged.items() if value is not None}, ())


def test_tuples_have_two_spellings() -> None:
    items = {"type": "array", "items": {"x-kubernetes-int-or-string": True}, "maxItems": 2}
    tuple_ = [{"type": "integer"}, {"type": "string"}]
    assert of({"type": "array", "prefixItems": tuple_, "items": False}, DRAFT_2020).schema == items
    assert of({"type": "array", "items": tuple_, "additionalItems": False}, DRAFT_2019).schema == items
    assert of({"type": "array", "prefixItems": tuple_, "items": False}, DRAFT_7).schema == items | {
        "items": ANY,
        "maxItems": 0,
    }


def test_formats_are_remarks_since_2019() -> None:
    assert of({"type": "string", "format": "ipv4"}, DRAFT_2019) == Translation({"type": "string"}, ())


REFERENCES = {
    "definitions": ({"$ref": "#/definitions/a"}, {"definitions": {"a": {"type": "string"}}}),
    "defs": ({"$ref": "#/$defs/a"}, {"$defs": {"a": {"type": "string"}}}),
    "another property": ({"$ref": "#/properties/y"}, {"properties": {"y": {"type": "string"}}}),
    "an escaped pointer": ({"$ref": "#/$defs/a~1b%25"}, {"$defs": {"a/b%": {"type": "string"}}}),
    "an anchor": ({"$ref": "#it"}, {"$defs": {"a": {"$anchor": "it", "type": "string"}}}),
    "an identifier": ({"$ref": "it.json"}, {"$defs": {"a": {"$id": "it.json", "type": "string"}}}),
    "its own name": (
        {"$ref": "https://x.example/s.json#/$defs/a"},
        {"$id": "https://x.example/s.json", "$defs": {"a": {"type": "string"}}},
    ),
    "a reference to a reference": (
        {"$ref": "#/$defs/a"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "string"}}},
    ),
    "a place that is no keyword": ({"$ref": "#/x-types/a"}, {"x-types": {"a": {"type": "string"}}}),
}


@pytest.mark.parametrize(("schema", "more"), REFERENCES.values(), ids=REFERENCES)
def test_references_are_followed_inside_the_document(schema: Any, more: Any) -> None:
    document = {**more, "properties": {"x": schema, **more.get("properties", {})}}
    assert structural(read(document), ("x",)) == Translation({"type": "string"}, ())


def test_what_holds_itself_is_cut_where_it_returns() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/definitions/tree"}}}}
    assert of({"$ref": "#/definitions/tree"}, definitions={"tree": tree}) == Translation(
        {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"type": "object", **ANY}}},
            **ANY,
        },
        ("/definitions/tree/properties/children/items/$ref",),
    )


def test_the_root_is_a_map_whatever_it_says() -> None:
    spec = {"type": "object", "properties": {"a": {"type": "string"}}, **ANY}
    assert structural(read({"properties": {"a": {"type": "string"}}})) == Translation(spec, ())
    assert structural(read({"type": "string"})).schema == {"type": "object", **ANY}


def test_maps_that_do_not_say_that_they_are_open_can_be_taken_for_closed() -> None:
    a = {"properties": {"a": {"type": "string"}}}
    document = read(
        {
            **a,
            "properties": {
                "silent": {"type": "object", **a},
                "open": {"type": "object", **a, "additionalProperties": True},
            },
        }
    )
    closed = {"type": "object", **a}
    assert structural(document, closed=True).schema == {
        "type": "object",
        "properties": {"silent": closed, "open": closed | ANY},
    }


PATHS = {
    "properties": ({"properties": {"a": {"properties": {"b": {"type": "string"}}}}}, ("a", "b")),
    "a reference on the way": (
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"properties": {"b": {"type": "string"}}}}},
        ("a", "b"),
    ),
    "allOf on the way": ({"allOf": [{}, {"properties": {"a": {"type": "string"}}}]}, ("a",)),
    "nullable on the way": (
        {"properties": {"a": {"anyOf": [{"type": "null"}, {"properties": {"b": {"type": "string"}}}]}}},
        ("a", "b"),
    ),
    "a pattern": ({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": False}, ("ab",)),
    "the others": ({"properties": {"b": False}, "additionalProperties": {"type": "string"}}, ("a",)),
    "an item": ({"properties": {"a": {"items": {"type": "string"}}}}, ("a", "0")),
    "a keyword's name": (
        {"properties": {"properties": {"properties": {"type": {"type": "string"}}}}},
        ("properties", "type"),
    ),
    "a pattern and a property": (
        {"properties": {"ab": {}}, "patternProperties": {"^a": {"type": "string"}}},
        ("ab",),
    ),
}


@pytest.mark.parametrize(("document", "at"), PATHS.values(), ids=PATHS)
def test_a_value_is_found_by_its_path(document: Any, at: tuple[str, ...]) -> None:
    assert structural(read(document), at) == Translation({"type": "string"}, ())


def test_nothing_is_said_of_a_value_the_schema_does_not_know() -> None:
    assert structural(read({"properties": {"a": {}}}), ("b", "c")) == Translation(ANY, ())


REFUSED = {
    "no JSON": (b"{", "is not JSON"),
    "no UTF-8": (b"\xff{}", "is not JSON"),
    "no number": (b'{"minimum": NaN}', "is not JSON"),
    "no object": (b"[]", "must be an object"),
    "too large": (b" " * (1 << 20) + b"{}", "larger than 1024 KiB"),
    "too deep": (b'{"not":' * 200 + b"{}" + b"}" * 200, "nested more than 100 deep"),
    "much too deep": (b"[" * 500_000, "nested more than"),
    "an unknown type": (b'{"properties": {"a": {"type": "strnig"}}}', "/properties/a/type: 'strnig' is not"),
    "an unknown draft": (b'{"$schema": "http://json-schema.org/draft-03/schema#"}', r"\$schema is none of"),
    "another document": (b'{"properties": {"a": {"$ref": "https://x.example/y.json"}}}', "leads nowhere"),
    "a file": (b'{"$ref": "file:///etc/passwd"}', "leads nowhere"),
    "no such place": (b'{"$ref": "#/$defs/a"}', "leads nowhere"),
    "no schema": (b'{"$ref": "#/x", "x": 5}', "no schema"),
    "a wrong schema": (b'{"$ref": "#/x", "x": {"type": 5}}', "/x/type: 5 is not"),
    "two drafts": (b'{"$defs": {"a": {"$schema": "http://json-schema.org/draft-04/schema#"}}}', "different drafts"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_schema_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        parse(content, "values.schema.json")
    assert refused.value.message.startswith("values.schema.json: ")


def test_a_definition_that_nobody_uses_may_lead_anywhere() -> None:
    assert structural(read({"$defs": {"a": {"$ref": "https://x.example/y.json"}}})).schema == {"type": "object", **ANY}


CHECKED = {
    "type": ({"type": "string"}, 1, "must be string, not integer"),
    "types": ({"type": ["string", "null"]}, True, "must be string or null, not boolean"),
    "enum": ({"enum": ["a", 1]}, "b", 'must be one of "a", 1'),
    "const": ({"const": None}, "b", "must be null"),
    "required": ({"required": ["a", "b"]}, {"a": 1}, "needs 'b'"),
    "minimum": ({"minimum": 3}, 1, "breaks the chart's rule minimum: 3"),
    "pattern": ({"pattern": "^a"}, "b", "does not match ^a"),
    "unique": ({"uniqueItems": True}, [1, 1.0], "has items that are there twice"),
    "anyOf": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "must fit any of the forms in the chart's schema"),
    "not": ({"not": {}}, 1, "breaks the chart's rule not"),
    "condition": ({"if": {"const": 1}, "then": {"const": 2}}, 1, "must be 2"),
    "format": ({"format": "ipv4"}, "1.2.3", 'breaks the chart\'s rule format: "ipv4"'),
}


@pytest.mark.parametrize(("schema", "value", "cause"), CHECKED.values(), ids=CHECKED)
def test_what_is_wrong_is_told_with_its_field(schema: Any, value: Any, cause: str) -> None:
    document = read({"$schema": DRAFT_7, "properties": {"x.y": {"items": schema}}})
    assert check(document, {"x.y": [value]}, "spec") == [f'spec["x.y"][0]: {cause}']


def test_what_can_t_be_is_told() -> None:
    assert check(read({"properties": {"a": False}}), {"a": 1}, "spec") == ["spec.a: can't be set"]


def test_an_unknown_property_is_named() -> None:
    document = read({"properties": {"a": {}}, "patternProperties": {"^s": {}}, "additionalProperties": False})
    assert check(document, {"a": 1, "b": 2, "s": 3}, "spec") == ["spec.b: is not known to the chart"]


@pytest.mark.parametrize("schema", [{"pattern": "^(?!a)"}, {"format": "regex"}, {"type": "integer"}])
def test_what_nobody_can_tell_is_not_held_against_the_consumer(schema: Any) -> None:
    assert check(read({"$schema": DRAFT_7, **schema}), 1.0 if "type" in schema else "a(", "spec") == []


def test_at_most_ten_things_are_told() -> None:
    assert len(check(read({"additionalProperties": False}), {f"k{i}": 1 for i in range(50)}, "spec")) == 10


def test_a_value_is_not_repeated() -> None:
    assert "hunter2" not in str(
        check(read({"additionalProperties": {"maxLength": 1}}), {"password": "hunter2"}, "spec")
    )


def doubling(deep: int) -> dict[str, Any]:
    """Two references each to the next: a page that means 2^deep schemas."""
    pair = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(deep)}
    return {"$ref": "#/$defs/d0", "$defs": {**pair, f"d{deep}": {"required": ["a"]}}}


BOMBS = {
    "doubling": (doubling(60), {"a": 1}),
    "a loop": ({"$ref": "#"}, {"a": 1}),
    "backtracking": ({"additionalProperties": {"pattern": "^(a+)+$"}}, {"a": "a" * 100_000 + "b"}),
    "backtracking keys": ({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, {"a" * 5000 + "b": 1}),
    "comparisons": ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"n": n} for n in range(50_000)]}),
    "merges": (
        {
            "allOf": [
                {"properties": {f"p{i}": {} for i in range(2000)}},
                *[{"additionalProperties": {"minLength": 1}}] * 2000,
            ]
        },
        {},
    ),
    "deep": (json.loads('{"properties":{"a":' * 49 + "{}" + "}}" * 49), {}),
    "deep alternatives": (json.loads('{"anyOf":[{"type":"null"},' * 40 + "{}" + "]}" * 40), {}),
    "wide": ({"properties": {f"p{i}": {"$ref": "#"} for i in range(5000)}}, {}),
    "large numbers": ({"minimum": 10**400, "multipleOf": 10**400, "maxLength": 10**400, "enum": [10**400]}, {"a": 1}),
    "half a pair": ({"properties": {"\ud800": {"description": "\udfff"}}}, {"\ud800": "\ud800"}),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("document", "value"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_goes_out(document: Any, value: Any) -> None:
    found = read(document)
    json.dumps(structural(found).schema).encode()
    check(found, value, "spec")


def test_three_hundred_definitions_are_unfolded_as_far_as_they_fit() -> None:
    document = read(
        {"$schema": DRAFT_7, "properties": {"pod": {"$ref": "#/definitions/io.k8s.D0"}}, "definitions": kubernetes(300)}
    )
    found = structural(document)
    pod = found.schema["properties"]["pod"]
    assert pod["properties"]["port"] == {"x-kubernetes-int-or-string": True}
    assert pod["properties"]["f0"]["properties"]["name"] == {"type": "string", "description": "Of the thing"}
    assert len(json.dumps(found.schema)) < 700_000
    assert len(found.left) == 200


def test_fifteen_hundred_properties_are_all_there() -> None:
    found = structural(read(bitnami(1500)))
    assert len(found.schema["properties"]) == 1500
    assert found.left == ()


@given(documents(), st.lists(values(), max_size=6), st.data())
def test_what_the_original_takes_the_translation_takes_whole_or_in_part(document: Any, found: Any, data: Any) -> None:
    try:
        document = read(document)
    except Refused:
        return
    draft = draft_of(document)
    assert draft is not None
    schema, spec = structural(document, ("x",)).schema, structural(document).schema
    for value in found:
        try:
            valid = draft.validator(document).is_valid({"x": value})
        except RecursionError:
            return
        if valid:
            part = partial(value, data.draw)
            assert Structural(plain(schema)).is_valid(value)
            assert Structural(plain(schema)).is_valid(part)
            assert Structural(plain(spec)).is_valid({"x": part})


@given(documents(), st.lists(values(), max_size=6))
def test_the_check_never_says_more_than_the_schema(document: Any, found: Any) -> None:
    try:
        document = read(document)
    except Refused:
        return
    draft = draft_of(document)
    assert draft is not None
    formats = FormatChecker(["date", "ipv4"]) if draft.number < 2019 else None  # as Helm does
    for value in found:
        try:
            valid = draft.validator(document, format_checker=formats).is_valid({"x": value})
        except RecursionError:
            return
        assert not (valid and check(document, {"x": value}, "spec"))
