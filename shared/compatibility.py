"""What changes for those who use an API when its schema changes. Pure: two structural schemas in, differences out.

A difference breaks when something that was right before may be wrong after it. Where that can't be told from the
schemas alone (two patterns, two rules), any change counts as one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from shared.values import format_path

Schema = dict[str, Any]
Kind = Literal[
    "removed", "required", "type", "enum", "bounds", "pattern", "null", "closed", "immutable", "rule", "default"
]

ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}
TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object"})
IMMUTABLE = ("self == oldSelf", "oldSelf == self")
AT_LEAST = ("minimum", "minLength", "minItems", "minProperties")
AT_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")
WHOLE = ("pattern", "format", "multipleOf", "not", "allOf", "anyOf", "oneOf", "x-kubernetes-embedded-resource")
"""Whether one is narrower than another is not worth knowing: only taking them away is safe."""


@dataclass(frozen=True)
class Difference:
    path: str
    kind: Kind
    message: str
    breaking: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def differences(old: Schema, new: Schema, at: str = "spec") -> list[Difference]:
    """What of `old` is no longer so in `new`; what was merely added (optional fields, wider bounds) is none."""
    return [*_differences(old, new, at)]


def breaking(found: list[Difference]) -> list[Difference]:
    return [each for each in found if each.breaking]


def below(at: str, key: str) -> str:
    step = format_path((key,))
    return at + ("" if step.startswith("[") else ".") + step


def _differences(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    if old == new:
        return
    lost = types_of(old) - types_of(new)
    if lost:
        yield Difference(at, "type", f"was {named(types_of(old))}, is now {named(types_of(new))}")
        return  # what the rest says is about another type
    if takes_null(old) and not takes_null(new):
        yield Difference(at, "null", "may no longer be null")
    yield from _bounds(old, new, at)
    yield from _choices(old, new, at)
    yield from _rules(old, new, at)
    if "object" in types_of(old):
        yield from _fields(old, new, at)
    if "array" in types_of(old):
        yield from _items(old, new, at)
    yield from _defaults(old, new, at)


def types_of(schema: Schema) -> frozenset[str]:
    """The JSON types it takes; every integer is a number."""
    if schema.get("x-kubernetes-int-or-string"):
        return frozenset({"integer", "string"})
    kind = schema.get("type")
    if kind is None:
        return TYPES
    return frozenset({"number", "integer"}) if kind == "number" else frozenset({kind})


def takes_null(schema: Schema) -> bool:
    untyped = "type" not in schema and not schema.get("x-kubernetes-int-or-string")
    return bool(schema.get("nullable")) or untyped


def named(types: frozenset[str]) -> str:
    if types == TYPES:
        return "anything"
    return "number" if types == {"number", "integer"} else " or ".join(sorted(types))


def _bounds(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    for keys, narrower in ((AT_LEAST, 1), (AT_MOST, -1)):
        for key in keys:
            before, after = old.get(key), new.get(key)
            exclusive = f"exclusive{key[0].upper()}{key[1:]}"
            stricter = new.get(exclusive, False) and not old.get(exclusive, False)
            if after is None:
                continue
            if before is None or (after - before) * narrower > 0 or (after == before and stricter):
                yield Difference(at, "bounds", f"{key} was {said(before)}, is now {said(after, stricter)}")
    for key in WHOLE:
        if key in new and new[key] != old.get(key):
            kind: Kind = "pattern" if key in ("pattern", "format") else "bounds"
            yield Difference(at, kind, f"{key} was {said(old.get(key))}, is now {said(new[key])}")
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield Difference(at, "bounds", "items must now differ from each other")


def said(value: Any, exclusive: object = False) -> str:
    text = "none" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)
    return (text if len(text) <= 80 else f"{text[:80]}...") + (" (exclusive)" if exclusive else "")


def _choices(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    if "enum" not in new:
        return
    if "enum" not in old:
        yield Difference(at, "enum", f"must now be one of {listed(new['enum'])}")
        return
    gone = [each for each in old["enum"] if not any(same(each, kept) for kept in new["enum"])]
    if gone:
        yield Difference(at, "enum", f"may no longer be {listed(gone)}")


def same(one: Any, other: Any) -> bool:
    """JSON's equality: Python takes true for 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def listed(values: list[Any]) -> str:
    return said(", ".join(str(value) for value in values))


def _rules(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    """Only what a rule asks counts, not how it says so."""
    known = [_rule(each) for each in old.get("x-kubernetes-validations", [])]
    for each in new.get("x-kubernetes-validations", []):
        if _rule(each) in known or _of_a_new_field(each, old):
            continue
        if each["rule"] in IMMUTABLE:
            yield Difference(at, "immutable", "can no longer be changed once it is set")
        else:
            yield Difference(at, "rule", f"must now satisfy {said(each['rule'])}")
    for key in ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"):
        if new.get(key, "atomic") != old.get(key, "atomic") and new.get(key) in ("set", "map"):
            yield Difference(at, "rule", f"{key} was {said(old.get(key))}, is now {new[key]}")


_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']*)'\]")


def _of_a_new_field(rule: dict[str, Any], old: Schema) -> bool:
    """A rule that says which field it is about hurts nobody when that field is new."""
    steps = [plain or quoted for plain, quoted in _STEP.findall(rule.get("fieldPath", ""))]
    found: Any = old
    for step in steps[1:]:  # the first is the spec itself
        found = found.get("properties", {}).get(step) if isinstance(found, dict) else None
    return bool(steps) and found is None


def _rule(rule: dict[str, Any]) -> tuple[str, bool]:
    return rule["rule"], bool(rule.get("optionalOldSelf"))


def rest_of(schema: Schema) -> Schema | None:
    """What fields without a schema of their own may hold; None when there may be none."""
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return more
    return ANYTHING if more or schema.get("x-kubernetes-preserve-unknown-fields") else None


def must(schema: Schema) -> set[str]:
    """The fields that have to be given: a default gives itself."""
    fields = schema.get("properties", {})
    return {key for key in schema.get("required", []) if "default" not in fields.get(key, {})}


def field_of(schema: Schema, key: str) -> Schema | None:
    found: Schema | None = schema.get("properties", {}).get(key)
    return found if found is not None else rest_of(schema)


def _fields(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    for key in sorted({*old.get("properties", {}), *new.get("properties", {})}):
        before, after = field_of(old, key), field_of(new, key)
        if before is not None and after is None:
            yield Difference(below(at, key), "removed", "was removed")
        elif before is not None and after is not None:
            yield from _differences(before, after, below(at, key))
    for key in sorted(must(new) - must(old)):
        yield Difference(below(at, key), "required", "is now required")
    before, after = rest_of(old), rest_of(new)
    if before is not None and after is None:
        yield Difference(at, "closed", "may no longer hold other fields than the named ones")
    elif before is not None and after is not None:
        yield from _differences(before, after, f"{at}.*")


def _items(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    yield from _differences(old.get("items", ANYTHING), new.get("items", ANYTHING), f"{at}[]")


def _defaults(old: Schema, new: Schema, at: str) -> Iterator[Difference]:
    """Objects that have one keep it; those that come get the new one."""
    if "default" in old and old["default"] != new.get("default"):
        message = f"the default was {said(old['default'])}, is now {said(new.get('default'))}"
        yield Difference(at, "default", message, breaking=False)
