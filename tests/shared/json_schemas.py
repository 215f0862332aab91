"""Strategies for schemas in every draft, values, and what a structural schema means in plain terms."""

from functools import cache
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator, validators

from shared.jsonschemas.drafts import DRAFTS

Json = dict[str, Any]

NAMES = st.sampled_from(["a", "b", "type", "properties", "$ref", "default", "enum", "x.y", "a/b~c", ""])
WORDS = st.sampled_from(["", "a", "b", "ab", "12", "x1", "a\nb", "null", "ü"])
PATTERNS = st.sampled_from(["^a", "b$", "^[a-z]+$", "[0-9]{1,3}", "a|b", "^(?!a)", r"(a)\1", r"^\S$", "x1"])
INTEGERS = st.integers(-4, 4) | st.sampled_from([10, 80, 2**31, 2**53 - 1, -(2**53) + 1])
NUMBERS = INTEGERS | st.sampled_from([0.0, 1.0, -2.0, 0.5, 1.5, -1.5, 2.5])
LIMITS = NUMBERS | st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63), 2**64, 1e300, 10**30])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]


@cache
def values(depth: int = 3) -> st.SearchStrategy[Any]:
    return st.recursive(
        SCALARS,
        lambda under: st.lists(under, max_size=3) | st.dictionaries(NAMES, under, max_size=3),
        max_leaves=2**depth,
    )


@cache
def schemas(number: int) -> st.SearchStrategy[Any]:
    leaves: st.SearchStrategy[Any] = st.just({}) | st.fixed_dictionaries({"type": st.sampled_from(TYPES)})
    if number > 4:
        leaves |= st.booleans()
    return st.recursive(leaves, lambda under: objects(under, number), max_leaves=6)


def objects(under: st.SearchStrategy[Any], number: int) -> st.SearchStrategy[Json]:
    sizes = st.integers(0, 3)
    some = st.lists(under, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, under, max_size=3)
    names = st.lists(NAMES, min_size=1, max_size=2, unique=True)
    types = st.sampled_from(TYPES) | st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)
    additional = under | st.booleans()
    everywhere: dict[str, st.SearchStrategy[Any]] = {
        "type": types,
        "enum": st.lists(values(1), min_size=1, max_size=4, unique_by=repr),
        "minimum": LIMITS,
        "maximum": LIMITS,
        "multipleOf": st.sampled_from([1, 2, 0.5, 3.0, 2**60]),
        "minLength": sizes,
        "maxLength": sizes | st.just(2**70),
        "pattern": PATTERNS,
        "format": st.sampled_from(["password", "date", "ipv4", "int64", "whatever"]),
        "minItems": sizes,
        "maxItems": sizes,
        "uniqueItems": st.booleans(),
        "minProperties": sizes,
        "maxProperties": sizes,
        "required": names,
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "e"]), under, max_size=2),
        "additionalProperties": additional,
        "allOf": some,
        "anyOf": some,
        "oneOf": some,
        "not": under,
        "title": WORDS,
        "description": WORDS,
        "default": values(1),
        "$ref": st.sampled_from(["#", "#/definitions/a", "#/definitions/b"]),
        "exclusiveMinimum": LIMITS,
        "exclusiveMaximum": LIMITS,
        "items": under,
        "const": values(1),
        "if": under,
        "then": under,
        "else": under,
        "contains": under,
        "propertyNames": st.fixed_dictionaries({"pattern": st.sampled_from(["^a", "e"])}),
        "dependentRequired": st.dictionaries(NAMES, names, max_size=1),
        "prefixItems": some,
        "unevaluatedProperties": additional,
    }
    if number < 2020:
        everywhere["items"] = under | some
        everywhere["additionalItems"] = additional
    if number == 4:
        everywhere |= {"exclusiveMinimum": st.booleans(), "exclusiveMaximum": st.booleans()}
    return (
        st.sets(st.sampled_from(sorted(everywhere)), max_size=5)
        .flatmap(lambda keys: st.fixed_dictionaries({key: everywhere[key] for key in sorted(keys)}))
        .map(lambda schema: _limited(schema) if number == 4 else schema)
    )


def _limited(schema: Json) -> Json:
    """Draft 4 allows exclusiveMinimum only beside minimum."""
    needs = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
    return {key: value for key, value in schema.items() if needs.get(key, key) in schema}


@st.composite
def documents(draw: st.DrawFn) -> Json:
    name = draw(st.sampled_from(sorted(DRAFTS)))
    number = DRAFTS[name].number
    under = schemas(number)
    root = draw(under)
    definitions = {each: draw(under) for each in ("a", "b")}
    return {"$schema": f"http://{name}", "properties": {"x": root}, "definitions": definitions}


def partial(value: Any, draw: st.DrawFn) -> Any:
    """Some of a map's keys, and of the maps' in it; lists are whole."""
    if not isinstance(value, dict):
        return value
    return {key: partial(under, draw) for key, under in value.items() if draw(st.booleans())}


def plain(schema: Json) -> Json:
    """What the API server takes a structural schema for, for `Structural`."""
    said = {key: value for key, value in schema.items() if not key.startswith("x-") and key != "nullable"}
    types = (
        ["integer", "string"]
        if "x-kubernetes-int-or-string" in schema
        else [schema["type"]]
        if "type" in schema
        else []
    )
    if types:
        said["type"] = types + ["null"] * schema.get("nullable", False)
    if "properties" in schema:
        said["properties"] = {name: plain(under) for name, under in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), dict):
        said["additionalProperties"] = plain(schema["additionalProperties"])
    elif schema.get("type") == "object" and "x-kubernetes-preserve-unknown-fields" not in schema:
        said["additionalProperties"] = False
    if "items" in schema:
        said["items"] = plain(schema["items"])
    return said


def kubernetes(definitions: int) -> dict[str, Any]:
    """Definitions that use each other as those of Kubernetes do: many, deep, some in circles."""
    return {
        f"io.k8s.D{i}": {
            "type": "object",
            "description": f"What {i} is for. " * 10,
            "properties": {
                "name": {"type": "string", "description": "Of the thing"},
                "port": {"$ref": "#/definitions/port"},
                **{f"f{j}": {"$ref": f"#/definitions/io.k8s.D{(i * 7 + j * 13 + 1) % definitions}"} for j in range(5)},
            },
        }
        for i in range(definitions)
    } | {"port": {"type": ["integer", "string"], "format": "int-or-string"}}


def bitnami(properties: int) -> dict[str, Any]:
    value = {"type": "string", "title": "A size", "description": "Of the volume " * 5, "form": True, "render": "slider"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {f"value{i}": value for i in range(properties)},
    }


Structural: Any = validators.extend(Draft4Validator, type_checker=Draft7Validator.TYPE_CHECKER)  # type: ignore[no-untyped-call]
