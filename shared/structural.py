"""Structural schemas, the part of OpenAPI v3 that a CustomResourceDefinition can say. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

Schema = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
ANY: Schema = {PRESERVE: True}

_FAULTS_SHOWN = 10


def json_schema(schema: Schema) -> Schema:
    """The same as plain JSON Schema (draft 7), where unknown fields are faults, as they are for `kubectl apply`."""
    plain = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key != "nullable"}
    if "properties" in plain:
        plain["properties"] = {key: json_schema(value) for key, value in plain["properties"].items()}
    if "items" in plain:
        plain["items"] = json_schema(plain["items"])
    if isinstance(plain.get("additionalProperties"), dict):
        plain["additionalProperties"] = json_schema(plain["additionalProperties"])
    elif plain.get("type") == "object" and not schema.get(PRESERVE):
        plain.setdefault("additionalProperties", False)
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if plain.pop(exclusive, False) and bound in plain:  # a boolean, as in draft 4
            plain[exclusive] = plain.pop(bound)
    if schema.get(INT_OR_STRING):
        plain["type"] = ["integer", "string"]
    if schema.get("nullable") and plain:
        return {"anyOf": [{"type": "null"}, plain]}
    return plain


def faults(schema: Schema, value: Any) -> list[str]:
    """Why the API server would refuse a value, as `path: cause`; none when it would take it."""
    found = jsonschema.Draft7Validator(json_schema(schema)).iter_errors(value)
    return [
        f"{error.json_path.removeprefix('$').lstrip('.')}: {error.message}"
        for error, _ in zip(found, range(_FAULTS_SHOWN), strict=False)
    ]


def widened(schema: Schema, value: Any) -> Schema:
    """The nearest weaker schema that takes a value; the schema itself when it does already."""
    if not faults(schema, value):
        return schema
    if value is None:
        return {**schema, "nullable": True}
    if "enum" in schema and schema.get("type") == type_of(value):
        wider = {**schema, "enum": [*schema["enum"], value]}
        if not faults(wider, value):
            return wider
    if schema.get("type") == type_of(value) and not isinstance(value, Mapping | list):
        return {key: each for key, each in schema.items() if key in ("type", "description", "nullable")}
    described: Schema = {key: schema[key] for key in ("description", "nullable") if key in schema}
    if {schema.get("type"), type_of(value)} == {"string", "integer"}:
        return {INT_OR_STRING: True, **described}
    return {**ANY, **described}


def type_of(value: Any) -> str | None:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case Mapping():
            return "object"
        case _:
            return None


def properties(schema: Schema, under: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Every property with its path, parents first; what is inside lists is left out."""
    for key, found in schema.get("properties", {}).items():
        yield (*under, key), found
        yield from properties(found, (*under, key))
