"""Structural schemas, the part of OpenAPI v3 that a CustomResourceDefinition can say. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.validity import breaks

Schema = dict[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
ANY: Schema = {PRESERVE: True}


def widened(schema: Schema, value: Any) -> Schema:
    """The nearest weaker schema that takes a value; the schema itself when it does already."""
    if not breaks(value, schema):
        return schema
    if value is None:
        return {**schema, "nullable": True}
    if "enum" in schema and schema.get("type") == type_of(value):
        wider = {**schema, "enum": [*schema["enum"], value]}
        if not breaks(value, wider):
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
