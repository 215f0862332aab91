"""The schema of a value: from what is stated, told and declared of it, the best first. Pure."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shared import jsonschemas
from shared.errors import Refused
from shared.structural import ANY, INT_OR_STRING, PRESERVE, Schema, type_of, widened
from shared.texts import SILENT, Node
from shared.told import ITEM, Told
from shared.values import Path

SHOWN = 500
"""Longest default that is shown; characters."""

# Kubernetes' own structures: a chart that names some of their fields means all of them.
_OPEN = re.compile(
    r"(annotations|labels|nodeSelector|matchLabels|limits|requests|resources|securityContext|affinity|probe)$", re.I
)
_QUANTITIES = ("limits", "requests")

UNSAID = "any; the chart does not say."
FIXED = "Fixed by the provider: what you set here has no effect."
"""Not to what: it may be a password."""
SAYING = {
    *("type", "enum", "const", "properties", "patternProperties", "additionalProperties", "items", "prefixItems"),
    *("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "minimum", "maximum", "pattern", "format"),
}
"""Keywords of JSON Schema that tell something of a type."""

MISSING: Any = object()


@dataclass(frozen=True)
class Inference:
    """Of one chart and one use of it."""

    without: frozenset[Path]
    fixed: frozenset[Path]
    silent: frozenset[Path]
    """Values that stand in a values.schema.json without a type or anything like it."""
    stated: Mapping[Path, Schema]
    """What the values.schema.json of each subchart says, by where its values stand."""

    def schema(self, path: Path, value: Any, node: Node, stated: Schema | None) -> Schema:
        if not (stated or {}).get("properties"):
            stated = self.stated.get(path, stated)
        if stated is None and node.told.schema is not None:
            stated = _annotated(node.told.schema)
        described = stated.get("description", "") if stated else ""
        if stated is not None and says_nothing(stated) and path in self.silent:
            stated = None
        kinds = node.told.types
        if (isinstance(value, Mapping) and value) or _documented(node):
            found = self._map(path, value if isinstance(value, Mapping) else {}, node, stated)
            if value is not MISSING and not isinstance(value, Mapping):
                found = widened(found, value)
        elif stated is not None:
            found = self._filled(path, stated, node)
        elif kinds:
            found = self._typed(path, kinds, value, node)
        elif isinstance(value, list):
            found = self._list(path, value, node)
        else:
            found = _of_value(path, value)
        if node.told.nullable or value is None:
            found = {**found, "nullable": True}
        if value is not MISSING and not isinstance(value, Mapping):
            found = widened(found, value)
        unknown = unsaid(found, kinds) if stated is None else ""
        default = FIXED if is_fixed(path, self.fixed) else shown_default(value, node.told)
        description = describe(node.told.description or described, unknown, default)
        return {**found, "description": description} if description else _undescribed(found)

    def _map(self, path: Path, value: Mapping[str, Any], node: Node, stated: Schema | None) -> Schema:
        stated = stated or {}
        inside: Mapping[str, Schema] = stated.get("properties", {})
        keys = [*value, *(key for key in node.below if key not in value), *(key for key in inside if key not in value)]
        properties = {}
        for key in dict.fromkeys(keys):
            below = (*path, key)
            if key == ITEM or below in self.without:
                continue
            properties[key] = self.schema(below, value.get(key, MISSING), node.below.get(key, Node()), inside.get(key))
        found: Schema = {"type": "object", "properties": properties}
        if self._is_open(path, value, node, stated):
            found[PRESERVE] = True
        return found

    def _is_open(self, path: Path, value: Mapping[str, Any], node: Node, stated: Schema) -> bool:
        """Whether keys may be given that the chart does not name: maps that are Kubernetes' own, examples, and those
        that are documented as one thing."""
        if PRESERVE in stated or isinstance(stated.get("additionalProperties"), dict):
            return True
        as_one = "object" in node.told.types and not _documented(node)
        return bool(as_one or (path and _OPEN.search(path[-1])) or any("/" in key for key in value))

    def _typed(self, path: Path, kinds: tuple[str, ...], value: Any, node: Node) -> Schema:
        if len(kinds) > 1:
            return {INT_OR_STRING: True} if set(kinds) == {"integer", "string"} else dict(ANY)
        if kinds == ("array",):
            return self._list(path, value if isinstance(value, list) else [], node)
        return {"type": "object", PRESERVE: True} if kinds == ("object",) else {"type": kinds[0]}

    def _list(self, path: Path, items: list[Any], node: Node) -> Schema:
        each = node.below.get(ITEM, Node())
        if not items and each == Node():
            return {"type": "array", "items": dict(ANY)}
        maps = [item for item in items if isinstance(item, Mapping)]
        if len(maps) == len(items):
            together: dict[str, list[Any]] = {}
            for item in maps:
                for key, value in item.items():
                    together.setdefault(key, []).append(value)
            keys = dict.fromkeys([*together, *each.below])
            properties = {
                key: self._alike((*path, ITEM, key), together.get(key, []), each.below.get(key, Node())) for key in keys
            }
            if not properties:
                return {"type": "array", "items": dict(ANY)}
            # The items are examples: others may have more.
            described = {"description": each.told.description} if each.told.description else {}
            return {"type": "array", "items": {"type": "object", PRESERVE: True, "properties": properties, **described}}
        return {"type": "array", "items": self._alike((*path, ITEM), items, each)}

    def _alike(self, path: Path, values: list[Any], node: Node) -> Schema:
        """One schema for what stands at the same place of several items."""
        schemas = [self.schema(path, value, node, None) for value in values] or [self.schema(path, MISSING, node, None)]
        bare = [_bare(schema) for schema in schemas]
        found = bare[0] if all(each == bare[0] for each in bare) else dict(ANY)
        return {**found, "description": node.told.description} if node.told.description else found

    def _filled(self, path: Path, stated: Schema, node: Node) -> Schema:
        """What values.schema.json says, with the descriptions that stand elsewhere."""
        if "items" in stated:
            items = self._filled((*path, ITEM), stated["items"], node.below.get(ITEM, Node()))
            return {**stated, "items": items}
        if "properties" not in stated:
            return stated
        properties = {
            key: self.schema((*path, key), MISSING, node.below.get(key, Node()), found)
            for key, found in stated["properties"].items()
            if (*path, key) not in self.without
        }
        return {**stated, "properties": properties}


def is_fixed(path: Path, fixed: Collection[Path]) -> bool:
    return bool(fixed) and any(path[:length] in fixed for length in range(1, len(path) + 1))


def says_nothing(schema: Schema) -> bool:
    return not set(schema) - {"description", PRESERVE}


def _documented(node: Node) -> bool:
    return any(step != ITEM for step in node.below)


def _annotated(schema: Schema) -> Schema | None:
    if not SAYING & schema.keys():
        return None
    try:
        document = jsonschemas.parse(json.dumps({"properties": {"it": schema}}).encode(), "a comment")
        return jsonschemas.structural(document, ("it",), closed=True).schema
    except Refused:
        return None  # a comment is no reason to refuse a chart


def _undescribed(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "description"}


def _bare(schema: Schema) -> Schema:
    """Without what is said to people."""
    bare = _undescribed(schema)
    if "properties" in bare:
        bare["properties"] = {key: _bare(value) for key, value in bare["properties"].items()}
    if isinstance(bare.get("items"), dict):
        bare["items"] = _bare(bare["items"])
    return bare


def _of_value(path: Path, value: Any) -> Schema:
    """Null and "" tell nothing of the type, an empty map or list nothing of its contents."""
    if len(path) > 1 and path[-2] in _QUANTITIES and type_of(value) in ("string", "integer"):
        return {INT_OR_STRING: True}
    if value is MISSING or value is None or value == "":
        return dict(ANY)
    if isinstance(value, Mapping):
        return {"type": "object", PRESERVE: True}
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return {"type": "number"}  # Kubernetes' integers have 64 bits
    return {"type": str(type_of(value))}


def describe(*lines: str) -> str:
    """For `kubectl explain`. The chart's default is told, not set: a better one in a later chart must reach who never
    chose."""
    return "\n".join(line.strip() for line in lines if line)


def unsaid(schema: Schema, kinds: tuple[str, ...] = ()) -> str:
    if PRESERVE in schema and "type" not in schema:
        return f"Type: {' or '.join(kinds)}." if kinds else f"Type: {UNSAID}"
    if schema.get("type") == "array" and _bare(schema.get("items", ANY)) == ANY:
        return f"Items: {UNSAID}"
    is_open_map = schema.get("type") == "object" and PRESERVE in schema and not schema.get("properties")
    return f"Contents: {UNSAID}" if is_open_map else ""


def unknown_line(description: str) -> str:
    """What `unsaid` said."""
    return next((line for line in description.split("\n") if line.startswith("Type: ") or line.endswith(UNSAID)), "")


def shown_default(value: Any, told: Told = SILENT) -> str:
    if isinstance(value, Mapping) and value:
        return ""  # its contents show theirs
    if told.default and (value is MISSING or value in (None, "")):
        return f"Default: {told.default}"
    if value is MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f"Default: {text}" if len(text) <= SHOWN else f"Default: {text[:SHOWN]}... (cut)"
