"""An instance in one version of its API, as the same instance in another. Pure.

What connects two versions is where parameters go in the chart's values: what the one calls `storage` and the other
`disk` is the same if it has the same path. What has no place in the other version, or is of another type there, is kept
in an annotation, so that an object comes back as it went. Nothing here fails: one object that can't be converted would
make every list of its kind fail, for everybody.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from shared.compatibility import ANYTHING, Schema, field_of, takes_null
from shared.errors import Refused
from shared.offering import Values
from shared.values import Path, format_path, get, has, leaves, parse_path

UNCONVERTED = "chandlery.dev/unconverted"
PLAN: Path = ("", "plan")
"""Where a plan would be in a chart's values if it were one of them."""
ROOM = 250_000
"""Of an object's annotations together the API server takes 256 KiB."""

Places = tuple[tuple[Path, Path], ...]


@dataclass(frozen=True, eq=False)
class Edition:
    """A version of an API, as far as conversion needs it."""

    version: str
    places: Places | None
    """Where each parameter stands in the spec, and where it goes in the chart's values; None: all, at the same path."""
    plans: bool
    schema: Schema
    """The spec's."""

    @property
    def table(self) -> Places | None:
        if self.places is None or not self.plans:
            return self.places
        return (*self.places, (("plan",), PLAN))


@dataclass(frozen=True)
class Note:
    """What an object can't say in the version it stands in."""

    values: Mapping[Path, Any]
    """By path in the chart's values."""
    originals: Mapping[str, Any]
    """The whole spec of a version that paths alone would not bring back, for as long as nothing is changed."""


EMPTY = Note({}, {})


def convert(found: dict[str, Any], old: Edition, new: Edition) -> dict[str, Any]:
    """An object of the old version in the new one; all but its spec and one annotation stays."""
    spec, note = found.get("spec"), note_of(found)
    if not isinstance(spec, dict):
        spec = {}
    after, kept = _converted(spec, note, old, new)
    group = found["apiVersion"].rpartition("/")[0]
    result = {**found, "apiVersion": f"{group}/{new.version}", "metadata": _noted(found["metadata"], kept)}
    if after or "spec" in found:
        result["spec"] = after
    return result


def unconverted(found: dict[str, Any], editions: Iterable[Edition]) -> list[str]:
    """Paths of the chart's values that the object asks for, but can't in the version it stands in.

    What some version sets by default nobody asked for."""
    values = note_of(found).values
    defaults = [edition for edition in editions if values]
    return [
        format_path(path).removeprefix('[""].')
        for path, value in values.items()
        if not any(value == default for edition in defaults for default in defaults_at(edition, path))
    ]


def defaults_at(edition: Edition, path: Path) -> Iterator[Any]:
    """What the schema puts there by itself."""
    same = [("plan",) if edition.plans and path == PLAN else path]
    places = same if edition.table is None else list(_within(edition.table, path))
    for place in places:
        schema: Schema | None = edition.schema
        for depth, step in enumerate(place):
            schema = field_of(schema or {}, step)
            inner, rest = (schema or {}).get("default"), place[depth + 1 :]
            if has(inner, rest) and (rest or "default" in (schema or {})):
                yield get(inner, rest)


def _within(table: Places, path: Path) -> Iterator[Path]:
    for stands, goes in table:
        if path[: len(goes)] == goes:
            yield (*stands, *path[len(goes) :])


def _converted(spec: Values, note: Note, old: Edition, new: Edition) -> tuple[Values, Note]:
    others = {version: kept for version, kept in note.originals.items() if version not in (old.version, new.version)}
    original = note.originals.get(new.version)
    if original and original["at"] == old.version and original["of"] == digest(spec):
        return original["spec"], Note(_flat(original["values"]), others)
    after, left = _carry(spec, note.values, old, new)
    if _carry(after, left, new, old) != (spec, note.values):
        values = {format_path(path): value for path, value in note.values.items()}
        others[old.version] = {"at": new.version, "of": digest(after), "spec": spec, "values": values}
    return after, Note(left, others)


def _carry(spec: Values, kept: Mapping[Path, Any], old: Edition, new: Edition) -> tuple[Values, dict[Path, Any]]:
    """By way of the chart's values: what has a place in the new version, and what has none."""
    tree: Values = {}
    for path, value in kept.items():
        put(tree, path, value)
    for path, value in _values_of(spec, old):
        put(tree, path, value)
    targets = _targets(old, new)
    after: Values = {}
    left: dict[Path, Any] = {}
    for path, value in leaves(tree):
        fitting = [target for target in targets(path) if fits(value, new.schema, target)]
        for target in fitting:
            put(after, target, value)
        if not fitting:
            left[path] = value
    return after, left


def _values_of(spec: Values, edition: Edition) -> Iterator[tuple[Path, Any]]:
    if edition.table is None:
        for path, value in leaves(spec):
            yield PLAN if edition.plans and path == ("plan",) else path, value
        return
    for stands, goes in edition.table:
        if has(spec, stands):
            value = get(spec, stands)
            inner = leaves(value) if isinstance(value, dict) and value else [((), value)]
            yield from (((*goes, *path), leaf) for path, leaf in inner)


@lru_cache(maxsize=64)
def _targets(old: Edition, new: Edition) -> Callable[[Path], list[Path]]:
    """Where in the new version's spec a leaf of the chart's values stands."""
    table = aligned(old, new)
    if table is None:
        return lambda path: [("plan",)] if new.plans and path == PLAN else [path]
    index: dict[Path, list[Path]] = {}
    for stands, goes in table:
        index.setdefault(goes, []).append(stands)

    def targets(path: Path) -> list[Path]:
        """The nearest: what has a name of its own is not also to be had through a map around it."""
        length = next((length for length in range(len(path), 0, -1) if path[:length] in index), 0)
        return [(*stands, *path[length:]) for stands in index.get(path[:length], [])]

    return targets


def aligned(old: Edition, new: Edition) -> Places | None:
    """The new version's places, seen from the old one: a parameter that kept its name while the chart moved its value
    is still the same parameter."""
    before, after = old.table, new.table
    if before is None or after is None:
        return after
    known, coming = Paths.of(before), Paths.of(after)
    moved = {stands: goes for stands, goes in before if not coming.touch(goes)}
    return tuple(
        (stands, moved[stands] if stands in moved and not known.touch(goes) else goes) for stands, goes in after
    )


@dataclass(frozen=True)
class Paths:
    these: frozenset[Path]
    around: frozenset[Path]

    @classmethod
    def of(cls, places: Places) -> "Paths":
        these = frozenset(goes for _, goes in places)
        return cls(these, frozenset(path[:length] for path in these for length in range(1, len(path))))

    def touch(self, path: Path) -> bool:
        """Whether it is one of them, or lies within or around one."""
        return path in self.around or any(path[:length] in self.these for length in range(1, len(path) + 1))


def fits(value: Any, schema: Schema, path: Path = ()) -> bool:
    """Whether there is a field for it, and of its type. Bounds and choices don't count: what breaks those can be shown,
    and be refused where it is asked for."""
    for step in path:
        inner = field_of(schema, step)
        if inner is None:
            return False
        schema = inner
    if value is None:
        return takes_null(schema)
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list) and all(fits(each, schema.get("items", ANYTHING)) for each in value)
        case "object":
            return isinstance(value, dict) and all(fits(under, schema, (key,)) for key, under in value.items())
    return True


def put(tree: Values, path: Path, value: Any) -> None:
    """Under maps of its own; what stood in the way gives way."""
    *parents, last = path
    for step in parents:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            inner = tree[step] = {}
        tree = inner
    if isinstance(value, dict) and not value and isinstance(tree.get(last), dict):
        return
    tree[last] = {} if value == {} and isinstance(value, dict) else value


def digest(spec: Values) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:32]


# The annotation


def note_of(found: dict[str, Any]) -> Note:
    """What is no note of ours counts as none: everybody may write annotations."""
    text = (found["metadata"].get("annotations") or {}).get(UNCONVERTED)
    try:
        read = json.loads(text) if text else {}
        values, originals = read.get("values", {}), read.get("originals", {})
        good = {version: kept for version, kept in originals.items() if _is_original(kept)}
        return Note(_flat(values), good)
    except (ValueError, AttributeError, RecursionError, Refused):
        return EMPTY


def _is_original(kept: Any) -> bool:
    return isinstance(kept, dict) and all(
        isinstance(kept.get(key), kind) for key, kind in (("at", str), ("of", str), ("spec", dict), ("values", dict))
    )


def _flat(values: Mapping[str, Any]) -> dict[Path, Any]:
    """Whatever is written there, leaves come out: no path within another."""
    tree: Values = {}
    for path, value in values.items():
        put(tree, parse_path(path), value)
    return dict(leaves(tree))


def _noted(metadata: dict[str, Any], note: Note) -> dict[str, Any]:
    annotations = {key: text for key, text in (metadata.get("annotations") or {}).items() if key != UNCONVERTED}
    room = ROOM - sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items())
    text = _written(note)
    if len(text.encode()) > room:
        text = _written(replace(note, originals={}))
    if text and len(text.encode()) <= room:
        annotations[UNCONVERTED] = text
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return rest | ({"annotations": annotations} if annotations or metadata.get("annotations") == {} else {})


def _written(note: Note) -> str:
    values = {format_path(path): value for path, value in note.values.items()}
    parts = {"values": values, "originals": dict(note.originals)}
    said = {key: value for key, value in parts.items() if value}
    return json.dumps(said, sort_keys=True, separators=(",", ":")) if said else ""
