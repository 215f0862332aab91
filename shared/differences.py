"""Where two renderings of a chart differ: objects and their fields. Pure.

Documents with the same text are passed over unread: of a large chart little changes with one value.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.manifests import Manifest, mapping, parse_documents, split
from shared.values import Path, format_path

Change = tuple[str, str]
"""(Kind/name, field); a field of "+" or "-" means that the whole object comes or goes."""

ADDED, REMOVED = "+", "-"


@dataclass(frozen=True)
class Unstable:
    """What differs between two renderings with the same values."""

    fields: frozenset[Change]
    nameless: frozenset[tuple[str, str]]
    """(source, kind) of objects that are called otherwise each time."""


def changes(before: str, after: str, apart: Unstable | None = None) -> list[Change]:
    """What differs and is not `apart`, sorted. Raises Refused like parsing; costs seconds at the limits."""
    old, new = _differing(before, after)
    found: list[Change] = []
    for key, (one, other) in _paired(parse_documents(old), parse_documents(new)).items():
        if apart is None or (one and other) or (key[0], key[1]) not in apart.nameless:
            found += _between(one, other)
    return sorted({change for change in found if apart is None or not _covered(change, apart.fields)})


def unstable(before: str, after: str) -> Unstable:
    """Two renderings with the same values."""
    old, new = _differing(before, after)
    pairs = _paired(parse_documents(old), parse_documents(new))
    nameless = {(source, kind) for (source, kind, *_), (one, other) in pairs.items() if not (one and other)}
    fields = {change for one, other in pairs.values() if one and other for change in _between(one, other)}
    return Unstable(frozenset(fields), frozenset(nameless))


def told(found: Unstable) -> list[str]:
    return sorted(
        [f"{shown} {field}" for shown, field in found.fields]
        + [f"{kind} of {source} (its name)" for source, kind in found.nameless]
    )


def _differing(before: str, after: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    old, new = split(before), split(after)
    same = Counter(old) & Counter(new)
    return _without(old, same), _without(new, same)


def _without(documents: list[tuple[str, str]], same: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    left = Counter(same)
    kept = []
    for each in documents:
        if left[each] > 0:
            left[each] -= 1
        else:
            kept.append(each)
    return kept


Key = tuple[str, str, str, str, int]


def _keyed(manifests: Iterable[Manifest]) -> dict[Key, Manifest]:
    """By template, kind and name; a number keeps namesakes apart."""
    seen: Counter[tuple[str, ...]] = Counter()
    found: dict[Key, Manifest] = {}
    for each in manifests:
        name = (each.source, each.kind, each.group, f"{each.namespace}/{each.name}")
        found[(*name, seen[name])] = each
        seen[name] += 1
    return found


def _paired(old: Iterable[Manifest], new: Iterable[Manifest]) -> dict[Key, tuple[Manifest | None, Manifest | None]]:
    before, after = _keyed(old), _keyed(new)
    return {key: (before.get(key), after.get(key)) for key in [*before, *(key for key in after if key not in before)]}


def _between(one: Manifest | None, other: Manifest | None) -> Iterator[Change]:
    if one is None or other is None:
        there = one or other
        yield there.shown if there else "", ADDED if one is None else REMOVED
        return
    for path in _paths(one.body, other.body, ()):
        yield one.shown, _field(path)


def _paths(one: Any, other: Any, at: Path) -> Iterator[Path]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key in one and key in other:
                yield from _paths(one[key], other[key], (*at, key))
            else:
                yield (*at, key)
    elif isinstance(one, list) and isinstance(other, list):
        before, after = _entries(one), _entries(other)
        if before is None or after is None:
            before, after = _numbered(one), _numbered(other)
        yield from _paths(before, after, at)
    elif type(one) is not type(other) or one != other:
        yield at


def _entries(values: list[Any]) -> dict[str, Any] | None:
    """The entries of a list by their names, where each has one of its own."""
    names = [_name(each) for each in values]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        return None
    return {f"[{name}]": each for name, each in zip(names, values, strict=True)}


def _name(value: Any) -> Any:
    """Of a container, or of a volume claim that is an object itself."""
    if not isinstance(value, dict):
        return None
    return value.get("name") or mapping(value.get("metadata")).get("name")


def _numbered(values: list[Any]) -> dict[str, Any]:
    return {f"[{index}]": each for index, each in enumerate(values)}


def _field(path: Path) -> str:
    """Like a path of values; entries of lists as [name] or [0]."""
    text = ""
    for step in path:
        plain = format_path((step,))
        listed = step.startswith("[") and step.endswith("]")
        text += step if listed else plain if plain.startswith("[") or not text else f".{plain}"
    return text


def _covered(change: Change, fields: frozenset[Change]) -> bool:
    """Whether it is one of the fields, or inside of one."""
    shown, field = change
    return change in fields or any(
        shown == each and field.startswith(above) and field[len(above) : len(above) + 1] in (".", "[")
        for each, above in fields
    )
