"""A shape as a structural schema: what a CustomResourceDefinition can say of it, and never more than holds.

The API server's own ways are minded: with integers it cuts limits to whole numbers, it divides by a cut multipleOf, it
refuses any null where there is an enum, takes no float beyond 2^53 for an integer, and knows no union of types but
integer or string.
"""

import math
from dataclasses import dataclass
from typing import Any

from shared.jsonschemas.patterns import compiled, one_of
from shared.jsonschemas.reading import Left
from shared.jsonschemas.shapes import FACETS, Bound, Facet, Items, Keys, Number, Shape, Text, canonical

Schema = dict[str, Any]

LARGEST = 2**62
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Writer:
    left: Left
    closed: bool = False
    """Whether a map takes only the properties it lists when the schema does not say that there may be others."""

    def write(self, shape: Shape | None) -> Schema:
        if shape is None or shape.nothing:
            return dict(ANYTHING)
        kinds = {kind: facet for kind, facet in shape.kinds.items() if kind != "null"}
        schema = self._types(kinds, shape)
        if shape.description:
            schema["description"] = shape.description
        for facet in kinds.values():
            schema |= self._facet(facet, shape, alone=len(kinds) == 1)
        self._enum(schema, kinds, shape)
        return schema

    def _types(self, kinds: dict[str, Facet], shape: Shape) -> Schema:
        nullable = {"nullable": True} if "null" in shape.kinds else {}
        number = kinds.get("number")
        whole = isinstance(number, Number) and number.integer
        if len(kinds) == 1:
            (kind,) = kinds
            return {"type": "integer" if whole else kind, **nullable}
        if kinds.keys() == {"number", "string"} and whole:
            return {"x-kubernetes-int-or-string": True, **nullable}
        if len(shape.kinds) < len(FACETS) and not _listed(shape):
            self.left.add(shape.pointer, "type")
        return dict(ANYTHING)

    def _facet(self, facet: Facet, shape: Shape, *, alone: bool) -> Schema:
        match facet:
            case Number():
                return self._number(facet, shape)
            case Text():
                return sized(facet, "Length") | texts(facet, alone=alone)
            case Items() if alone or facet.each is not None:
                return sized(facet, "Items") | {"items": self.write(facet.each)}
            case Items():
                return sized(facet, "Items")
            case Keys():
                return self._keys(facet, shape, alone=alone)
        return {}

    def _number(self, number: Number, shape: Shape) -> Schema:
        schema: Schema = {}
        for end, bound in (("minimum", number.minimum), ("maximum", number.maximum)):
            if bound is not None:
                said, exact = limit(end, bound, number.integer)
                schema |= said
                if not exact:
                    self.left.add(shape.pointer, end)
        if number.multiple is not None and (not number.integer or number.multiple >= LARGEST):
            self.left.add(shape.pointer, "multipleOf")
        elif number.multiple is not None:
            schema["multipleOf"] = number.multiple
        return schema

    def _keys(self, keys: Keys, shape: Shape, *, alone: bool) -> Schema:
        schema = sized(keys, "Properties")
        properties = {name: self.write(under) for name, under in keys.properties.items() if not under.nothing}
        if properties:
            schema["properties"] = properties
        if len(properties) < len(keys.properties) and not (keys.rest and keys.rest.nothing and alone):
            self.left.add(shape.pointer, "properties")
        unsaid = keys.rest is None and not keys.open and self.closed and bool(properties)
        if keys.rest is None and not unsaid:
            schema |= ANYTHING
        elif keys.rest is not None and not keys.rest.nothing and not properties:
            schema["additionalProperties"] = self.write(keys.rest)
        elif keys.rest is not None and not (keys.rest.nothing and alone):
            self.left.add(shape.pointer, "additionalProperties")
            schema |= ANYTHING
        if keys.required:
            schema["required"] = sorted(keys.required)
        return schema

    def _enum(self, schema: Schema, kinds: dict[str, Facet], shape: Shape) -> None:
        chosen = [facet.enum for facet in kinds.values() if facet.enum is not None]
        values = [value for enum in chosen for value in enum]
        if not chosen or {canonical(value) for value in values} == {"true", "false"}:
            return
        if len(chosen) < len(kinds):
            self.left.add(shape.pointer, "enum")
        elif "null" not in shape.kinds:
            schema["enum"] = values
        elif kinds.keys() == {"string"} and compiled(one_of(tuple(values))):
            words = one_of(tuple(values))  # holds for strings only, so null passes
            schema |= {"pattern": words} if "pattern" not in schema else {"allOf": [{"pattern": words}]}
        else:
            self.left.add(shape.pointer, "enum")


def _listed(shape: Shape) -> bool:
    """Whether an enum says it all."""
    return all(facet.enum is not None for facet in shape.kinds.values()) and "null" not in shape.kinds


def sized(facet: Any, of: str) -> Schema:
    sizes = {f"min{of}": facet.least, f"max{of}": facet.most}
    return {keyword: size for keyword, size in sizes.items() if size is not None}


def texts(text: Text, *, alone: bool) -> Schema:
    """Beside other types a format would refuse them."""
    first, *others = text.patterns or ("",)
    said: Schema = {
        "pattern": first,
        "format": text.format if alone else None,
        "allOf": [{"pattern": each} for each in others],
    }
    return {keyword: value for keyword, value in said.items() if value}


def limit(end: str, bound: Bound, integer: bool) -> tuple[Schema, bool]:
    """The limit that the API server can be told, and whether it is the same.

    It keeps limits as floats, and cuts them to whole numbers where the value is an integer: then a limit of 1.5 that is
    excluded itself would exclude 1.
    """
    value, exclusive = bound
    if not abs(value) < LARGEST:
        return {}, False
    outward = -math.inf if end == "minimum" else math.inf
    if value != int(value):
        inward = math.ceil(value) if end == "minimum" else math.floor(value)
        return {end: inward if integer else value}, integer or not exclusive
    whole = int(value)
    if float(whole) == whole:
        return {end: whole} | ({f"exclusive{end.capitalize()}": True} if exclusive else {}), True
    near = float(whole)
    inside = near > whole if end == "minimum" else near < whole
    return {end: int(math.nextafter(near, outward) if inside else near)}, False
