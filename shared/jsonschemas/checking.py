"""Values against the whole schema, by the jsonschema library.

Helm runs the same check, but only when the release is made; here the consumer is told at once. Where the two might
differ this one is the milder. The library is kept from what a hostile chart could do with it: its regular expressions
are RE2's, comparing items is no longer a square, and every step counts against one budget.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema import validators
from jsonschema.exceptions import ValidationError
from referencing.exceptions import Unresolvable

from shared.jsonschemas.drafts import DRAFTS, OWN_SCHEMAS, Draft, Json, draft_of
from shared.jsonschemas.patterns import compiled, matches
from shared.jsonschemas.shapes import canonical
from shared.values import format_path

MESSAGES = 10
LENGTH = 300
STEPS = 500_000
FORMATS = ("date", "email", "ipv4", "ipv6")

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class TooMuchWork(Exception):
    """The schema asks for more steps than any honest one does."""


class Formats(jsonschema.FormatChecker):
    """Carries the count of steps along: it is what the library hands to every validator it makes on the way."""

    def __init__(self, formats: tuple[str, ...], steps: int) -> None:
        super().__init__(formats)
        self.steps = steps

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchWork


def check(document: Json, values: Any, field: str) -> list[str]:
    """What is wrong with values, as `field.path: cause`; empty when nothing is."""
    draft = draft_of(document)
    if draft is None:
        return []
    found: dict[str, None] = {}
    try:
        for error in errors_of(document, draft, values):
            found[_message(error, field)] = None
            if len(found) == MESSAGES:
                break
    except (TooMuchWork, RecursionError):
        found[f"{field}: the chart's schema takes too long to check it against; ask the provider to simplify it"] = None
    except Unresolvable:
        pass  # a $dynamicRef that leads out: Helm will say so
    return list(found)


def errors_of(schema: Json, draft: Draft, values: Any, steps: int = STEPS) -> Iterator[ValidationError]:
    plain = {key: value for key, value in schema.items() if key != "$schema"}  # else the library starts anew with it
    formats = Formats(FORMATS if draft.number < 2019 else (), steps)
    checker = GUARDED[draft.number](plain, registry=OWN_SCHEMAS, format_checker=formats)
    return checker.iter_errors(values)


def _counted(keyword: Keyword) -> Keyword:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError] | None:
        validator.format_checker.spend(1 + _size(value) + _size(instance))
        return keyword(validator, value, instance, schema)

    return counted


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _search(validator: Any, pattern: str, text: str) -> bool | None:
    """None when nobody can tell."""
    regex = compiled(pattern)
    if regex is None:
        return None
    validator.format_checker.spend(1 + len(text) * regex.programsize // 10_000)
    return matches(regex, text)


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and _search(validator, pattern, instance) is False:
        yield ValidationError(f"does not match {pattern}")


def _properties(validator: Any, properties: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """As theirs, but for a property that is never allowed, which theirs does not name."""
    if isinstance(instance, Mapping):
        for name in (name for name in properties if name in instance):
            if properties[name] is False:
                yield ValidationError("can't be set", path=[name])
            else:
                yield from validator.descend(instance[name], properties[name], path=name, schema_path=name)


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, Mapping):
        for pattern, under in patterns.items():
            for key, value in instance.items():
                if _search(validator, pattern, key):
                    yield from validator.descend(value, under, path=key, schema_path=pattern)


def _additional_properties(validator: Any, under: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, Mapping):
        return
    patterns = schema.get("patternProperties", {})
    for key in instance:
        known = key in schema.get("properties", {})
        if known or any(_search(validator, pattern, key) is not False for pattern in patterns):
            continue
        if under is False:
            yield ValidationError("is not known to the chart", path=[key])
        elif isinstance(under, dict):
            yield from validator.descend(instance[key], under, path=key)


def _unique_items(_validator: Any, unique: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if unique is True and isinstance(instance, list):
        seen = {canonical(item) for item in instance}
        if len(seen) < len(instance):
            yield ValidationError("has items that are there twice")


def _nothing(_validator: Any, _value: Any, _instance: Any, _schema: Any) -> None:
    """Not looked at: the library would run Python's regular expressions for it. Helm will."""


OURS: dict[str, Keyword] = {
    "pattern": _pattern,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _nothing,
    "uniqueItems": _unique_items,
}


def _guarded(draft: Draft) -> Any:
    known: Mapping[str, Any] = draft.validator.VALIDATORS
    ours = {keyword: _counted(OURS.get(keyword, theirs)) for keyword, theirs in known.items()}
    extend: Callable[..., Any] = validators.extend
    return extend(draft.validator, ours)


GUARDED: dict[int, Any] = {draft.number: _guarded(draft) for draft in DRAFTS.values()}


def _message(error: ValidationError, field: str) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else _step(step) for step in error.absolute_path)
    return f"{field}{path}: {_cause(error)}"[:LENGTH]


def _step(step: str) -> str:
    text = format_path((step,))
    return text if text.startswith("[") else f".{text}"


def _cause(error: ValidationError) -> str:
    """Without the value: it may be a password, or a page long."""
    keyword: Any = error.validator
    wanted: Any = error.validator_value
    values: Any = error.instance
    match keyword:
        case "type":
            return f"must be {' or '.join(wanted) if isinstance(wanted, list) else wanted}, not {_kind(values)}"
        case "enum":
            return f"must be one of {', '.join(json.dumps(each) for each in wanted)}"
        case "const":
            return f"must be {json.dumps(wanted)}"
        case "required":
            return f"needs {', '.join(repr(name) for name in wanted if name not in values)}"
        case "pattern" | "uniqueItems" | "additionalProperties" | "properties":
            return error.message
        case "anyOf" | "oneOf":
            return f"must fit {'one' if error.validator == 'oneOf' else 'any'} of the forms in the chart's schema"
        case None:
            return "can't be set"
    told = f": {json.dumps(wanted)}" if isinstance(wanted, int | float | str) else ""
    return f"breaks the chart's rule {keyword}{told}"


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
