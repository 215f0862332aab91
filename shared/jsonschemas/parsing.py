"""The document as it comes with the chart: taken, or refused with the place that is wrong."""

import json
from collections.abc import Iterator
from typing import Any

from shared.errors import Refused
from shared.jsonschemas.checking import TooMuchWork, errors_of
from shared.jsonschemas.drafts import DRAFTS, Dangling, Draft, Json, Spot, draft_of

SIZE = 1 << 20
DEPTH = 100
STEPS = 2_000_000
DEFINITIONS = ("$defs", "definitions")


def parse(content: bytes, field: str) -> Json:
    """Raises Refused, field first: what Helm itself would not take, and what reaches outside of the document."""
    if len(content) > SIZE:
        raise Refused("InvalidSchema", f"{field}: is larger than {SIZE >> 10} KiB; leave out what is not of use")
    document = _load(content, field)
    draft = draft_of(document)
    if draft is None:
        known = ", ".join(f"http://{name}" for name in DRAFTS)
        raise Refused("InvalidSchema", f"{field}: $schema is none of {known}")
    _one_draft(document, draft, field)
    _check(document, draft, field, "")
    _check_reachable(document, draft, field)
    return document


def _load(content: bytes, field: str) -> Json:
    try:
        document = json.loads(content.decode(), parse_constant=_no_number)
        if "\\ud" in content.decode().lower():  # half a surrogate pair can't be written again
            document = json.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    except RecursionError as error:
        raise _too_deep(field) from error
    except ValueError as error:
        raise Refused("InvalidSchema", f"{field}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Refused("InvalidSchema", f"{field}: must be an object that holds a JSON Schema")
    if _depth(document) > DEPTH:
        raise _too_deep(field)
    return document


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _too_deep(field: str) -> Refused:
    return Refused("InvalidSchema", f"{field}: is nested more than {DEPTH} deep; use definitions and $ref")


def _depth(document: Any) -> int:
    depth = 0
    level = [document]
    while level:
        depth += 1
        containers = [each for each in level if isinstance(each, dict | list)]
        level = [under for each in containers for under in (each.values() if isinstance(each, dict) else each)]
    return depth


def _one_draft(document: Json, draft: Draft, field: str) -> None:
    """Drop what embedded schemas say of their draft when they agree; the library would start anew at each."""
    for schema in _all(document, draft):
        if schema is not document and isinstance(schema.get("$schema"), str):
            if draft_of(schema) != draft:
                raise Refused("InvalidSchema", f"{field}: has schemas of different drafts; use one $schema, at the top")
            del schema["$schema"]


def _all(schema: Any, draft: Draft) -> Iterator[Json]:
    """A schema and those in it, as far as it is well formed."""
    todo = [schema]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            yield each
            try:
                todo.extend(draft.specification.subresources_of(each))
            except (TypeError, AttributeError):
                continue  # the check that follows says what is wrong


def _check(schema: Any, draft: Draft, field: str, pointer: str) -> None:
    """Against the draft's own schema."""
    if isinstance(schema, bool) and pointer:
        return
    try:
        first = next(errors_of(dict(draft.validator.META_SCHEMA), draft, schema, STEPS), None)
    except RecursionError as error:
        raise _too_deep(field) from error
    except TooMuchWork as error:
        raise Refused("InvalidSchema", f"{field}: is too large to be checked; leave out what is not of use") from error
    if first is not None:
        where = "".join(f"/{step}" for step in first.absolute_path)
        raise Refused("InvalidSchema", f"{field}: {pointer}{where}: {first.message[:200]}")


def _check_reachable(document: Json, draft: Draft, field: str) -> None:
    """Each reference that may be followed leads to a schema in this document. Definitions nobody uses may be broken."""
    checked = {id(schema) for schema in _all(document, draft)}
    seen: set[int] = set()
    todo: list[tuple[Any, Spot]] = [(document, Spot.root(document, draft))]
    while todo:
        schema, spot = todo.pop()
        if not isinstance(schema, dict) or id(schema) in seen:
            continue
        seen.add(id(schema))
        if id(schema) not in checked:
            _one_draft_under(schema, draft, field)
            _check(schema, draft, field, spot.pointer)
            checked |= {id(each) for each in _all(schema, draft)}
        spot = spot.entered(schema)
        if isinstance(reference := schema.get("$ref"), str):
            todo.append(_follow(spot, reference, field))
        if reference is None or draft.number >= 2019:
            used = {key: value for key, value in schema.items() if key not in DEFINITIONS}
            todo.extend((under, spot) for under in draft.specification.subresources_of(used))


def _one_draft_under(schema: Json, draft: Draft, field: str) -> None:
    if isinstance(schema.get("$schema"), str):
        raise Refused("InvalidSchema", f"{field}: a $ref leads to a $schema of its own; use one, at the top")
    _one_draft(schema, draft, field)


def _follow(spot: Spot, reference: str, field: str) -> tuple[Any, Spot]:
    try:
        contents, target = spot.follow(reference)
    except Dangling:
        fix = "only places in the same document can be referred to"
        raise Refused("InvalidSchema", f"{field}: $ref {reference[:200]!r} leads nowhere; {fix}") from None
    if not isinstance(contents, dict | bool):
        raise Refused("InvalidSchema", f"{field}: $ref {reference[:200]!r} leads to something that is no schema")
    return contents, target
