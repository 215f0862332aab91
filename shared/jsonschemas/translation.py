"""From the document to the translation, at the root or at the value of a path, at a bounded cost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from shared.jsonschemas.drafts import LATEST, Dangling, Json, Spot, draft_of, keywords
from shared.jsonschemas.patterns import compiled, matches
from shared.jsonschemas.reading import Left, Place, Reader, types
from shared.jsonschemas.shapes import ANY, FACETS, Shape, TooLarge, Work, meet
from shared.jsonschemas.writing import Schema, Writer
from shared.values import Path

STEPS = 30_000
SIZE = 700_000
DEPTH = 48
FOUND = 100

Found = tuple[Any, Spot]


@dataclass(frozen=True)
class Translation:
    """Every part of every valid map passes `schema`; `left` is where in the document more is asked than it says."""

    schema: Schema
    left: tuple[str, ...]


def structural(document: Json, at: Path | None = None, *, closed: bool = False) -> Translation:
    """What a spec (or with `at` one value of it) must look like.

    `closed` takes maps that list properties and don't say that there may be others for complete: for a caller who adds
    what else the chart knows. What is too large is cut at the depth at which it fits.
    """
    try:
        return _at_depth(document, at, closed, DEPTH)
    except TooLarge:
        fits, too_deep = 0, DEPTH
    found = _at_depth(document, at, closed, fits)
    while too_deep - fits > 1:
        depth = (fits + too_deep) // 2
        try:
            found = _at_depth(document, at, closed, depth)
            fits = depth
        except TooLarge:
            too_deep = depth
    return found


def _at_depth(document: Json, at: Path | None, closed: bool, depth: int) -> Translation:
    work, left = Work(STEPS), Left()
    reader = Reader(work, left)
    name = at[-1] if at else ""
    shapes = [
        reader.read(schema, Place(spot, depth, name=name)) for schema, spot in _schemas_at(document, at or (), left)
    ]
    shape = reduce(lambda one, other: meet(one, other, work) or ANY, shapes, ANY)
    if not at:
        shape = meet(shape, Shape({"object": FACETS["object"]}), work) or ANY  # values are a map, whatever it says
    if shape.nothing:
        left.add(shape.pointer)
        shape = Shape({"object": FACETS["object"]} if not at else FACETS, shape.description)
    schema = Writer(left, closed).write(shape)
    if len(json.dumps(schema)) > SIZE:
        raise TooLarge
    return Translation(schema, left.all())


def _schemas_at(document: Json, at: Path, left: Left) -> list[Found]:
    """The schemas that hold for the value at a path; none when nothing is said of it."""
    found: list[Found] = [(document, Spot.root(document, draft_of(document) or LATEST))]
    for step in at:
        found = [under for each in _unfolded(found, left) for under in _below(*each, step)][:FOUND]
    return found


def _unfolded(found: list[Found], left: Left) -> list[tuple[Json, Spot]]:
    """With the schemas that hold for the same value: references, allOf, and the one alternative that can have keys."""
    todo, seen = list(reversed(found)), set()
    unfolded: list[tuple[Json, Spot]] = []
    while todo and len(unfolded) < FOUND:
        schema, spot = todo.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        said, spot = keywords(schema, spot.draft), spot.entered(schema)
        unfolded.append((said, spot))
        todo.extend(_beside(said, spot, left))
    return unfolded


def _beside(said: Json, spot: Spot, left: Left) -> Iterator[Found]:
    if "$ref" in said:
        try:
            yield spot.follow(said["$ref"])
        except Dangling:
            left.add(spot.pointer, "$ref")
    for index, under in enumerate(said.get("allOf", ())):
        yield under, spot.into("allOf", index)
    for keyword in ("anyOf", "oneOf"):
        fitting = [(under, spot.into(keyword, i)) for i, under in enumerate(said.get(keyword, ())) if _may_hold(under)]
        if len(fitting) == 1:
            yield fitting[0]
        elif fitting:
            left.add(spot.pointer, keyword)


def _may_hold(schema: Any) -> bool:
    """Whether a value that passes it can hold others."""
    return schema is True or (isinstance(schema, dict) and bool({"object", "array"} & types(schema).keys()))


def _below(said: Json, spot: Spot, step: str) -> Iterator[Found]:
    if step.isdecimal() and (item := _item(said, spot, int(step[:6]))):
        yield item
    known = step in said.get("properties", {})
    if known:
        yield said["properties"][step], spot.into("properties", step)
    for pattern, under in said.get("patternProperties", {}).items():
        regex = compiled(pattern)
        known = known or regex is None  # then nobody can tell whether it is an additional one
        if regex is not None and matches(regex, step):
            known = True
            yield under, spot.into("patternProperties", pattern)
    if not known and "additionalProperties" in said:
        yield said["additionalProperties"], spot.into("additionalProperties")


def _item(said: Json, spot: Spot, index: int) -> Found | None:
    first, rest = ("prefixItems", "items") if spot.draft.number >= 2020 else ("items", "additionalItems")
    if not isinstance(said.get(first), list):
        first, rest = "", "items"
    if first and index < len(said[first]):
        return said[first][index], spot.into(first, index)
    return (said[rest], spot.into(rest)) if rest in said else None
