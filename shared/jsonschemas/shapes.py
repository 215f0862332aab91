"""Which values a schema lets pass, type by type.

Each keyword of JSON Schema but enum and const speaks of one type only, so a schema is a sum: for each type nothing, or
a facet that says which values of it pass. Sums can be met (both must hold: allOf, $ref and its siblings) and joined
(one must hold: anyOf, oneOf); both err on the side of letting more pass.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import lcm
from typing import Any, Self, TypeVar

T = TypeVar("T")

Bound = tuple[int | float, bool]
"""A limit, and whether it is itself excluded."""


class TooLarge(Exception):
    """The translation would cost more than it may."""


@dataclass
class Work:
    """What is left of what one translation may cost: a small schema can unfold without end."""

    steps: int

    def spend(self, steps: int = 1) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooLarge


def canonical(value: Any) -> str:
    """The same text for what JSON Schema takes for equal: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_exact(value), sort_keys=True)


def _exact(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _exact(under) for key, under in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value


def both(pick: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    """None says nothing: what the other says holds."""
    if one is None or other is None:
        return other if one is None else one
    return pick(one, other)


def either(pick: Callable[[T, T], T], one: T | None, other: T | None) -> T | None:
    """None says nothing: then neither says the whole."""
    return None if one is None or other is None else pick(one, other)


def _common(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    known = {canonical(value) for value in other}
    return tuple(value for value in one if canonical(value) in known)


def _united(one: tuple[Any, ...], other: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple({canonical(value): value for value in (*one, *other)}.values())


def _higher(one: Bound, other: Bound) -> Bound:
    return max(one, other)


def _lower(one: Bound, other: Bound) -> Bound:
    return min(one, other, key=lambda bound: (bound[0], not bound[1]))


def _wider_down(one: Bound, other: Bound) -> Bound:
    return min(one, other)


def _wider_up(one: Bound, other: Bound) -> Bound:
    return max(one, other, key=lambda bound: (bound[0], not bound[1]))


@dataclass(frozen=True)
class Facet:
    """What must hold of values of one type; by itself, of null and booleans."""

    enum: tuple[Any, ...] | None = None

    def meet(self, other: Self, work: Work) -> Self:  # noqa: ARG002 - maps and lists need it
        return replace(self, enum=both(_common, self.enum, other.enum))

    def join(self, other: Self, work: Work) -> Self:  # noqa: ARG002 - maps and lists need it
        return replace(self, enum=either(_united, self.enum, other.enum))

    @property
    def empty(self) -> bool:
        return self.enum == ()


@dataclass(frozen=True)
class Number(Facet):
    integer: bool = False
    minimum: Bound | None = None
    maximum: Bound | None = None
    multiple: int | None = None

    def meet(self, other: Self, work: Work) -> Self:
        return replace(
            super().meet(other, work),
            integer=self.integer or other.integer,
            minimum=both(_higher, self.minimum, other.minimum),
            maximum=both(_lower, self.maximum, other.maximum),
            multiple=both(lcm, self.multiple, other.multiple),
        )

    def join(self, other: Self, work: Work) -> Self:
        return replace(
            super().join(other, work),
            integer=self.integer and other.integer,
            minimum=either(_wider_down, self.minimum, other.minimum),
            maximum=either(_wider_up, self.maximum, other.maximum),
            multiple=self.multiple if self.multiple == other.multiple else None,
        )


@dataclass(frozen=True)
class Sized(Facet):
    """Characters of a string, items of a list, keys of a map."""

    least: int | None = None
    most: int | None = None

    def meet(self, other: Self, work: Work) -> Self:
        least, most = both(max, self.least, other.least), both(min, self.most, other.most)
        return replace(super().meet(other, work), least=least, most=most)

    def join(self, other: Self, work: Work) -> Self:
        least, most = either(min, self.least, other.least), either(max, self.most, other.most)
        return replace(super().join(other, work), least=least, most=most)


@dataclass(frozen=True)
class Text(Sized):
    patterns: tuple[str, ...] = ()
    format: str | None = None

    def meet(self, other: Self, work: Work) -> Self:
        patterns = tuple(dict.fromkeys(self.patterns + other.patterns))
        return replace(super().meet(other, work), patterns=patterns, format=self.format or other.format)

    def join(self, other: Self, work: Work) -> Self:
        patterns = tuple(pattern for pattern in self.patterns if pattern in other.patterns)
        return replace(super().join(other, work), patterns=patterns, format=self.format or other.format)


@dataclass(frozen=True)
class Items(Sized):
    each: "Shape | None" = None

    def meet(self, other: Self, work: Work) -> Self:
        return replace(super().meet(other, work), each=meet(self.each, other.each, work))

    def join(self, other: Self, work: Work) -> Self:
        return replace(super().join(other, work), each=join(self.each, other.each, work))


@dataclass(frozen=True)
class Keys(Sized):
    """`rest` is what keys hold that are not among the properties: None for anything, NOTHING where there are none."""

    properties: Mapping[str, "Shape"] = field(default_factory=dict)
    rest: "Shape | None" = None
    open: bool = False  # whether it was said that there may be others, or only not said that there are none
    required: frozenset[str] = frozenset()

    def meet(self, other: Self, work: Work) -> Self:
        properties = dict(self.properties)
        names = other.properties.keys() if other.rest is None else self.properties.keys() | other.properties.keys()
        for name in _in_order(names, self, other):
            properties[name] = meet(self.at(name), other.at(name), work) or ANY
        return replace(
            super().meet(other, work),
            properties=properties,
            rest=meet(self.rest, other.rest, work),
            open=self.open or other.open,
            required=self.required | other.required,
        )

    def join(self, other: Self, work: Work) -> Self:
        names = _in_order(self.properties.keys() | other.properties.keys(), self, other)
        return replace(
            super().join(other, work),
            properties={name: join(self.at(name), other.at(name), work) or ANY for name in names},
            rest=join(self.rest, other.rest, work),
            open=self.open or other.open,
            required=self.required & other.required,
        )

    def at(self, name: str) -> "Shape | None":
        return self.properties.get(name, self.rest)


def _in_order(names: "set[str] | Any", one: Keys, other: Keys) -> list[str]:
    return [name for name in {**one.properties, **other.properties} if name in names]


@dataclass(frozen=True)
class Shape:
    kinds: Mapping[str, Facet]
    description: str = ""
    pointer: str = ""  # of the schema it was read from first

    @property
    def nothing(self) -> bool:
        return not self.kinds


FACETS: dict[str, Facet] = {
    "null": Facet(),
    "boolean": Facet(),
    "number": Number(),
    "string": Text(),
    "array": Items(),
    "object": Keys(),
}
ANY = Shape(FACETS)
NOTHING = Shape({})


def meet(one: Shape | None, other: Shape | None, work: Work) -> Shape | None:
    return both(lambda one, other: _meet(one, other, work), one, other)


def join(one: Shape | None, other: Shape | None, work: Work) -> Shape | None:
    return either(lambda one, other: _join(one, other, work), one, other)


def _meet(one: Shape, other: Shape, work: Work) -> Shape:
    work.spend()
    met = {kind: _met(facet, other.kinds[kind], kind, work) for kind, facet in one.kinds.items() if kind in other.kinds}
    kinds = {kind: facet for kind, facet in met.items() if not facet.empty}
    return Shape(kinds, one.description or other.description, one.pointer or other.pointer)


def _met(one: Facet, other: Facet, kind: str, work: Work) -> Facet:
    if other is FACETS[kind]:
        return one
    return other if one is FACETS[kind] else one.meet(other, work)


def _join(one: Shape, other: Shape, work: Work) -> Shape:
    work.spend()
    kinds = {**one.kinds, **other.kinds}
    for kind in one.kinds.keys() & other.kinds.keys():
        kinds[kind] = one.kinds[kind].join(other.kinds[kind], work)
    return Shape(kinds, _common_description(one, other), one.pointer or other.pointer)


def _common_description(one: Shape, other: Shape) -> str:
    """An alternative that is only null, or nothing, tells nothing about the value."""
    told = [shape.description for shape in (one, other) if shape.kinds.keys() - {"null"}]
    return told[0] if told and all(each == told[0] for each in told) else ""


def of_values(values: tuple[Any, ...]) -> Shape:
    """Exactly these values."""
    by_kind: dict[str, list[Any]] = {}
    for value in values:
        by_kind.setdefault(kind_of(value), []).append(value)
    kinds = {kind: replace(FACETS[kind], enum=_united((), tuple(found))) for kind, found in by_kind.items()}
    number = kinds.get("number")
    if isinstance(number, Number) and number.enum is not None:
        kinds["number"] = replace(number, integer=all(_whole(value) for value in number.enum))
    return Shape(kinds)


def kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _whole(value: int | float) -> bool:
    """Also for the API server, which takes a larger float for no integer."""
    return abs(value) < 2**53 and value == int(value)


def disjoint(shapes: list[Shape]) -> bool:
    """Whether no value can pass two of them, as far as can be seen: then oneOf is anyOf, and a join of them exact."""
    seen: dict[str, set[str] | None] = {}
    for shape in shapes:
        for kind, facet in shape.kinds.items():
            only = facet.enum is not None and facet == replace(FACETS[kind], enum=facet.enum, **_integer(facet))
            values = {canonical(value) for value in facet.enum or ()} if only else None
            if kind in seen and (values is None or seen[kind] is None or values & (seen[kind] or set())):
                return False
            seen[kind] = (seen.get(kind) or set()) | values if values is not None else None
    return True


def _integer(facet: Facet) -> dict[str, Any]:
    return {"integer": facet.integer} if isinstance(facet, Number) else {}
