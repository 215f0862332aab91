"""A JSON Schema as a shape: what of it holds for the values a consumer may send.

A consumer's spec is laid over the chart's defaults: maps are merged key by key, everything else is replaced. So what
the schema demands of the merged map is not demanded of the consumer's part of it. Of every keyword, the part that
holds for each partial map of a valid map is kept; `required`, `minProperties`, `dependencies`, an enum of maps are not
among them (nor `maxProperties`: a null that deletes a default counts as a key). Inside of lists all of them are:
lists are replaced whole. `if`, `not` and `contains` can't be said by a structural schema in any case.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from shared.jsonschemas.drafts import Dangling, Json, Spot, keywords
from shared.jsonschemas.patterns import compiled
from shared.jsonschemas.shapes import (
    ANY,
    FACETS,
    Bound,
    Facet,
    Items,
    Keys,
    Number,
    Shape,
    Text,
    Work,
    disjoint,
    join,
    kind_of,
    meet,
    of_values,
)

DESCRIPTION = 2048
ENUM = 1024
LARGEST = 2**53
"""Up to here every whole number is one that JSON, floats and the API server agree on."""

SAID: dict[str, tuple[str, ...]] = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "array": ("minItems", "maxItems", "uniqueItems", "items", "prefixItems", "additionalItems"),
    "object": (
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
        "minProperties",
        "maxProperties",
    ),
}
UNSAID: dict[str, tuple[str, ...]] = {
    "string": (),
    "number": (),
    "array": ("contains", "minContains", "maxContains", "unevaluatedItems"),
    "object": (
        "propertyNames",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "unevaluatedProperties",
    ),
}
UNSAID_OF_ANY = ("not", "if", "$dynamicRef", "$recursiveRef")


@dataclass
class Left:
    """JSON pointers of what was not said, in the order of discovery."""

    limit: int = 200

    def __post_init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, pointer: str, keyword: str = "") -> None:
        if len(self._found) < self.limit:
            self._found[f"{pointer}/{keyword}" if keyword else pointer] = None

    def all(self) -> tuple[str, ...]:
        return tuple(self._found)


@dataclass(frozen=True)
class Place:
    """Where a schema stands, and how much of it may be used."""

    spot: Spot
    depth: int  # how many schemas deep it may still be followed
    whole: bool = False  # inside of a list: the value is all the consumer's
    name: str = ""  # the property's
    above: frozenset[int] = frozenset()  # the schemas this one stands in, to see a $ref that returns to them

    def into(self, *steps: str | int, whole: bool = False, name: str = "") -> "Place":
        return replace(self, spot=self.spot.into(*steps), depth=self.depth - 1, whole=self.whole or whole, name=name)


class Reader:
    def __init__(self, work: Work, left: Left) -> None:
        self.work = work
        self.left = left

    def read(self, schema: Any, place: Place) -> Shape:
        self.work.spend()
        if not isinstance(schema, dict):
            return Shape({}, pointer=place.spot.pointer) if schema is False else ANY
        if place.depth <= 0:
            self.left.add(place.spot.pointer)
            return outline(schema, place)
        said = keywords(schema, place.spot.draft)
        place = replace(place, spot=place.spot.entered(schema), above=place.above | {id(schema)})
        parts = [self._own(said, place), *self._applied(said, place)]
        shape = reduce(lambda one, other: meet(one, other, self.work) or ANY, parts)
        told = described(said, place.name) or shape.description
        return replace(shape, description=told, pointer=place.spot.pointer)

    def _own(self, said: Json, place: Place) -> Shape:
        """What the keywords say that stand here."""
        kinds = dict(types(said))
        details = {"number": self._number, "string": self._text, "array": self._items, "object": self._keys}
        for kind, detail in details.items():
            if kind in kinds and not said.keys().isdisjoint(SAID[kind]):
                kinds[kind] = detail(kinds[kind], said, place)
            if kind in kinds:
                self._unsaid(UNSAID[kind], said, place)
        self._unsaid(UNSAID_OF_ANY, said, place)
        return self._chosen(Shape(kinds), said, place)

    def _unsaid(self, names: Iterable[str], said: Json, place: Place) -> None:
        for name in names:
            if name in said and said[name] not in (True, {}, []):
                self.left.add(place.spot.pointer, name)

    def _chosen(self, shape: Shape, said: Json, place: Place) -> Shape:
        for keyword in {"enum", "const"} & said.keys():
            values = said[keyword] if keyword == "enum" else [said[keyword]]
            if len(values) > ENUM or not values:
                self.left.add(place.spot.pointer, keyword)
                continue
            chosen = of_values(tuple(values))
            hard = {kind for kind in ("array", "object") if kind in chosen.kinds}
            if hard or not all(map(representable, values)):
                self.left.add(place.spot.pointer, keyword)
                chosen = Shape({kind: FACETS[kind] for kind in chosen.kinds})
            shape = meet(shape, chosen, self.work) or ANY
        return shape

    def _number(self, facet: Facet, said: Json, place: Place) -> Facet:
        minimum, maximum = bounds(said)
        multiple = said.get("multipleOf")
        if multiple is not None and not (multiple == int_or_zero(multiple) and 0 < multiple < LARGEST):
            self.left.add(place.spot.pointer, "multipleOf")
            multiple = None
        integer = isinstance(facet, Number) and facet.integer
        multiple = None if multiple is None else int(multiple)
        return Number(integer=integer, minimum=minimum, maximum=maximum, multiple=multiple)

    def _text(self, _facet: Facet, said: Json, place: Place) -> Facet:
        pattern, form = said.get("pattern"), said.get("format")
        if pattern and compiled(pattern) is None:
            self.left.add(place.spot.pointer, "pattern")
            pattern = None
        if form not in (None, "password") and place.spot.draft.number < 2019:
            self.left.add(place.spot.pointer, "format")  # later drafts take it for a remark
        return Text(
            least=self._size(said, "minLength", place),
            most=self._size(said, "maxLength", place),
            patterns=(pattern,) if pattern else (),
            format="password" if form == "password" else None,
        )

    def _items(self, _facet: Facet, said: Json, place: Place) -> Facet:
        if said.get("uniqueItems"):
            self.left.add(place.spot.pointer, "uniqueItems")
        each, longest = self._each(said, place)
        sizes = [self._size(said, "maxItems", place), longest]
        most = min((size for size in sizes if size is not None), default=None)
        return Items(least=self._size(said, "minItems", place), most=most, each=each)

    def _each(self, said: Json, place: Place) -> tuple[Shape | None, int | None]:
        """What each item is, and how many there can be at most."""
        first, rest = ("prefixItems", "items") if place.spot.draft.number >= 2020 else ("items", "additionalItems")
        if not isinstance(said.get(first), list):  # no tuple
            first, rest = "", "items"
        each = self.read(said[rest], place.into(rest, whole=True)) if rest in said else None
        if not first:
            return each, 0 if each is not None and each.nothing else None
        self.left.add(place.spot.pointer, first)
        tuple_ = [self.read(one, place.into(first, i, whole=True)) for i, one in enumerate(said[first])]
        longest = len(tuple_) if each is not None and each.nothing else None
        return self._any_of([each, *tuple_]), longest

    def _keys(self, _facet: Facet, said: Json, place: Place) -> Facet:
        properties = {
            name: self.read(under, place.into("properties", name, name=name))
            for name, under in said.get("properties", {}).items()
        }
        rest = self._rest(said, place)
        told = Keys(properties=properties, rest=rest, open="additionalProperties" in said and rest is None)
        sizes = ("minProperties", "maxProperties", "required")
        if place.whole:
            required = frozenset(name for name in said.get("required") or () if isinstance(name, str))
            least, most = (self._size(said, name, place) for name in sizes[:2])
            return replace(told, required=required, least=least, most=most)
        for name in sizes:
            if said.get(name):
                self.left.add(place.spot.pointer, name)
        return told

    def _rest(self, said: Json, place: Place) -> Shape | None:
        """What stands under keys that are not among the properties."""
        patterns = said.get("patternProperties", {})
        shapes: list[Shape | None] = [
            self.read(under, place.into("patternProperties", pattern)) for pattern, under in patterns.items()
        ]
        if patterns:
            self.left.add(place.spot.pointer, "patternProperties")
        additional = said.get("additionalProperties", True)
        if additional is True:
            return None
        shapes.append(self.read(additional, place.into("additionalProperties")))
        return self._any_of(shapes)

    def _size(self, said: Json, keyword: str, place: Place) -> int | None:
        size = said.get(keyword)
        if size is None or (size == 0 and keyword.startswith("min")):
            return None
        if not size < LARGEST:
            if keyword.startswith("min"):
                self.left.add(place.spot.pointer, keyword)
            return None
        return int(size)

    def _any_of(self, shapes: list[Shape | None]) -> Shape | None:
        return reduce(lambda one, other: join(one, other, self.work), shapes)

    def _applied(self, said: Json, place: Place) -> Iterable[Shape]:
        """Other schemas that hold for the same value."""
        if "$ref" in said:
            yield self._referred(said["$ref"], place)
        for index, under in enumerate(said.get("allOf", ())):
            yield self.read(under, place.into("allOf", index, name=place.name))
        for keyword in ("anyOf", "oneOf"):
            if keyword in said:
                yield self._alternatives(said[keyword], keyword, place)

    def _referred(self, reference: str, place: Place) -> Shape:
        try:
            schema, spot = place.spot.follow(reference)
        except Dangling:
            self.left.add(place.spot.pointer, "$ref")
            return ANY
        if id(schema) in place.above:  # it holds itself
            self.left.add(place.spot.pointer, "$ref")
            return outline(schema, replace(place, spot=spot))
        return self.read(schema, replace(place, spot=spot, depth=place.depth - 1))

    def _alternatives(self, schemas: list[Any], keyword: str, place: Place) -> Shape:
        shapes = [self.read(under, place.into(keyword, index)) for index, under in enumerate(schemas)]
        if not disjoint(shapes):
            self.left.add(place.spot.pointer, keyword)
        return self._any_of([*shapes]) or ANY


def types(said: Json) -> dict[str, Facet]:
    named = said.get("type")
    if named is None:
        return FACETS
    names = [named] if isinstance(named, str) else named
    kinds = {name: FACETS[name] for name in names if name in FACETS}
    if "integer" in names and "number" not in names:
        kinds["number"] = Number(integer=True)
    return kinds


def outline(schema: Any, place: Place) -> Shape:
    """A schema that is not followed: its type and what it tells."""
    said = keywords(schema, place.spot.draft) if isinstance(schema, dict) else {}
    return Shape(types(said), described(said, place.name), place.spot.pointer)


def described(said: Json, name: str) -> str:
    """Title and description, once each; a title that only repeats the name tells nothing."""
    title, text = (str(said.get(key) or "").strip() for key in ("title", "description"))
    repeated = title.lower().replace(" ", "") in (name.lower(), "") or text.lower().startswith(title.lower())
    told = text if repeated else f"{title}\n{text}".strip()
    return told if len(told) <= DESCRIPTION else told[: DESCRIPTION - 1] + "…"


def bounds(said: Json) -> tuple[Bound | None, Bound | None]:
    """In draft 4 exclusiveMinimum is a remark on the minimum, later a limit of its own."""
    lower, upper = (_limits(said, f"{end}imum", f"exclusive{end.capitalize()}imum") for end in ("min", "max"))
    return (
        max(lower, default=None),
        min(upper, key=lambda bound: (bound[0], not bound[1]), default=None),
    )


def _limits(said: Json, inclusive: str, exclusive: str) -> list[Bound]:
    limit, other = said.get(inclusive), said.get(exclusive)
    if isinstance(other, bool):
        return [] if limit is None else [(limit, other)]
    return [(each, excluded) for each, excluded in ((limit, False), (other, True)) if each is not None]


def representable(value: Any) -> bool:
    """Numbers that the API server reads as they are written."""
    return kind_of(value) != "number" or abs(value) <= LARGEST


def int_or_zero(value: int | float) -> int:
    return int(value) if abs(value) < LARGEST else 0
