"""What is known of a chart's values, and the schema that follows: the best source there is for each value. Pure.

In this order: values.schema.json, structured comments in values.yaml, the table in the README, plain comments, and the
value itself. A parent's files go before its subchart's. Whatever a source says, the chart's own default is accepted.
"""

import json
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from shared import comments, jsonschemas, readme
from shared.charts import Chart, Part
from shared.errors import Refused
from shared.offering import Values
from shared.structural import ANY, INT_OR_STRING, PRESERVE, Schema, type_of, widened
from shared.told import ITEM, Told
from shared.values import Path, get, has, merge, nest

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
SCHEMA = "values.schema.json"
LOOKED_AT = 20_000
SAYING = {
    *("type", "enum", "const", "properties", "patternProperties", "additionalProperties", "items", "prefixItems"),
    *("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "not", "if", "minimum", "maximum", "pattern", "format"),
}
"""Keywords of JSON Schema that tell something of a type."""

_MISSING: Any = object()
_SILENT = Told()


@dataclass
class _Node:
    """What the texts say of one value and of what is below it."""

    told: Told = _SILENT
    below: dict[str, "_Node"] = field(default_factory=dict)

    def at(self, path: Path) -> "_Node | None":
        node: _Node | None = self
        for step in path:
            node = node.below.get(step) if node else None
        return node

    def add(self, path: Path, told: Told) -> None:
        node = self
        for step in path:
            node = node.below.setdefault(step, _Node())
        node.told = prefer(node.told, told)


def prefer(first: Told, second: Told) -> Told:
    """What the first source says, and where it is silent the second."""
    typed = first if first.types or first.schema else second
    return Told(
        description=first.description or second.description,
        types=typed.types,
        nullable=typed.nullable,
        schema=typed.schema,
        default=first.default if first.default is not None else second.default,
    )


@dataclass(frozen=True)
class Known:
    values: Values
    """All that is declared: the chart's values, the globals of its subcharts, and what switches these."""
    texts: _Node
    stated: tuple[tuple[Path, Schema], ...]
    """Structural translations of each values.schema.json, by where its values stand; parents first."""
    silent: frozenset[Path]
    """Values that stand in a values.schema.json without a type or anything like it."""

    @classmethod
    def of(cls, chart: Chart) -> Self:
        """Raises Refused for a values.schema.json that is none."""
        texts = _Node()
        for source in (comments.told, _readme, comments.remarks):
            for part in chart.parts:
                values = get(chart.values, part.at) or {}
                for path, told in source(part.readme if source is _readme else part.values_text, values).items():
                    texts.add((*part.at, *path), told)
                    for elsewhere in _also_at((*part.at, *path), part, chart):
                        texts.add(elsewhere, told)
        for part in chart.parts:
            for path in part.switches:
                texts.add(path, Told(description=f"Whether {'.'.join(part.at)} is installed", types=("boolean",)))
        documents = [
            (part.at, jsonschemas.parse(part.schema, part.file(SCHEMA))) for part in chart.parts if part.schema
        ]
        stated = tuple((at, jsonschemas.structural(document, closed=True).schema) for at, document in documents)
        silent = frozenset((*at, *path) for at, document in documents for path in _silent(document))
        return cls(declared(chart), texts, stated, silent)

    def declares(self, path: Path) -> bool:
        return has(self.values, path) or self.texts.at(path) is not None or self._stated_at(path) is not None

    def schema_of(self, path: Path, without: Iterable[Path] = (), fixed: Iterable[Path] = ()) -> Schema:
        """The structural schema of a value and all below it, but for the paths `without`; what is `fixed` says so."""
        value = get(self.values, path) if has(self.values, path) else _MISSING
        return _Inference(frozenset(without), frozenset(fixed), self.silent).schema(
            path, value, self.texts.at(path) or _Node(), self._stated_at(path)
        )

    def description(self, path: Path) -> str:
        """What the chart's texts say of a value; without its default."""
        node = self.texts.at(path)
        return (node.told.description if node else "") or (self._stated_at(path) or {}).get("description", "")

    def default(self, path: Path) -> str:
        """The chart's default, as it is shown."""
        node = self.texts.at(path)
        return shown_default(
            get(self.values, path) if has(self.values, path) else _MISSING, node.told if node else Told()
        )

    def _stated_at(self, path: Path) -> Schema | None:
        for at, schema in self.stated:
            if path[: len(at)] != at:
                continue
            found: Schema | None = schema
            for step in path[len(at) :]:
                found = _property(found, step)
            if found is not None and found != ANY:
                return found
        return None


def _property(schema: Schema | None, step: str) -> Schema | None:
    if schema is None:
        return None
    found: Schema | None = schema.get("properties", {}).get(step)
    return found


def _readme(text: bytes, values: Values) -> Mapping[Path, Told]:
    return readme.told(text, values)


def _silent(document: Schema) -> Iterator[Path]:
    """The values of which a values.schema.json says nothing but, perhaps, what they are for."""
    waiting: deque[tuple[Path, Any]] = deque([((), document)])
    for _ in range(LOOKED_AT):
        if not waiting:
            return
        path, schema = waiting.popleft()
        if not isinstance(schema, dict):
            continue
        if not SAYING & schema.keys():
            yield path
        properties = schema.get("properties")
        waiting += [
            ((*path, key), below) for key, below in (properties if isinstance(properties, dict) else {}).items()
        ]


def declared(chart: Chart) -> Values:
    """The globals of subcharts can be set at the top, where they reach all; what a parent takes from a child, too."""
    values = dict(chart.values)
    for part in chart.parts:
        below = get(chart.values, (*part.at, "global"))
        if part.at and isinstance(below, dict):
            values = merge({"global": below}, values)
        for each in part.imports:
            if has(chart.values, each.child):
                taken = nest(each.parent, get(chart.values, each.child))
                values = merge(taken, values) if isinstance(taken, dict) else values
    return values


def _also_at(path: Path, part: Part, chart: Chart) -> Iterator[Path]:
    """Where else a value of a subchart can be set."""
    if part.at and path[len(part.at) : len(part.at) + 1] == ("global",):
        yield path[len(part.at) :]
    for parent in chart.parts:
        for each in parent.imports:
            if path[: len(each.child)] == each.child:
                yield (*each.parent, *path[len(each.child) :])


@dataclass(frozen=True)
class _Inference:
    without: frozenset[Path]
    fixed: frozenset[Path]
    silent: frozenset[Path]

    def schema(self, path: Path, value: Any, node: _Node, stated: Schema | None) -> Schema:
        if stated is None and node.told.schema is not None:
            stated = _annotated(node.told.schema)
        described = stated.get("description", "") if stated else ""
        if stated is not None and says_nothing(stated) and path in self.silent:
            stated = None
        kinds = node.told.types
        if (isinstance(value, Mapping) and value) or _documented(node):
            found = self._map(path, value if isinstance(value, Mapping) else {}, node, stated)
            if value is not _MISSING and not isinstance(value, Mapping):
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
        if value is not _MISSING and not isinstance(value, Mapping):
            found = widened(found, value)
        unknown = unsaid(found, kinds) if stated is None else ""
        default = FIXED if is_fixed(path, self.fixed) else shown_default(value, node.told)
        description = describe(node.told.description or described, unknown, default)
        return {**found, "description": description} if description else _undescribed(found)

    def _map(self, path: Path, value: Mapping[str, Any], node: _Node, stated: Schema | None) -> Schema:
        stated = stated or {}
        inside: Mapping[str, Schema] = stated.get("properties", {})
        keys = [*value, *(key for key in node.below if key not in value), *(key for key in inside if key not in value)]
        properties = {}
        for key in dict.fromkeys(keys):
            below = (*path, key)
            if key == ITEM or below in self.without:
                continue
            properties[key] = self.schema(
                below, value.get(key, _MISSING), node.below.get(key, _Node()), inside.get(key)
            )
        found: Schema = {"type": "object", "properties": properties}
        if self._is_open(path, value, node, stated):
            found[PRESERVE] = True
        return found

    def _is_open(self, path: Path, value: Mapping[str, Any], node: _Node, stated: Schema) -> bool:
        """Whether keys may be given that the chart does not name: maps that are Kubernetes' own, examples, and those
        that are documented as one thing."""
        if PRESERVE in stated or isinstance(stated.get("additionalProperties"), dict):
            return True
        as_one = "object" in node.told.types and not _documented(node)
        return bool(as_one or (path and _OPEN.search(path[-1])) or any("/" in key for key in value))

    def _typed(self, path: Path, kinds: tuple[str, ...], value: Any, node: _Node) -> Schema:
        if len(kinds) > 1:
            return {INT_OR_STRING: True} if set(kinds) == {"integer", "string"} else dict(ANY)
        if kinds == ("array",):
            return self._list(path, value if isinstance(value, list) else [], node)
        return {"type": "object", PRESERVE: True} if kinds == ("object",) else {"type": kinds[0]}

    def _list(self, path: Path, items: list[Any], node: _Node) -> Schema:
        each = node.below.get(ITEM, _Node())
        if not items and each == _Node():
            return {"type": "array", "items": dict(ANY)}
        maps = [item for item in items if isinstance(item, Mapping)]
        if len(maps) == len(items):
            together: dict[str, list[Any]] = {}
            for item in maps:
                for key, value in item.items():
                    together.setdefault(key, []).append(value)
            keys = dict.fromkeys([*together, *each.below])
            properties = {
                key: self._alike((*path, ITEM, key), together.get(key, []), each.below.get(key, _Node()))
                for key in keys
            }
            if not properties:
                return {"type": "array", "items": dict(ANY)}
            # The items are examples: others may have more.
            described = {"description": each.told.description} if each.told.description else {}
            return {"type": "array", "items": {"type": "object", PRESERVE: True, "properties": properties, **described}}
        return {"type": "array", "items": self._alike((*path, ITEM), items, each)}

    def _alike(self, path: Path, values: list[Any], node: _Node) -> Schema:
        """One schema for what stands at the same place of several items."""
        schemas = [self.schema(path, value, node, None) for value in values] or [
            self.schema(path, _MISSING, node, None)
        ]
        bare = [_bare(schema) for schema in schemas]
        found = bare[0] if all(each == bare[0] for each in bare) else dict(ANY)
        return {**found, "description": node.told.description} if node.told.description else found

    def _filled(self, path: Path, stated: Schema, node: _Node) -> Schema:
        """What values.schema.json says, with the descriptions that stand elsewhere."""
        if "items" in stated:
            items = self._filled((*path, ITEM), stated["items"], node.below.get(ITEM, _Node()))
            return {**stated, "items": items}
        if "properties" not in stated:
            return stated
        properties = {
            key: self.schema((*path, key), _MISSING, node.below.get(key, _Node()), found)
            for key, found in stated["properties"].items()
            if (*path, key) not in self.without
        }
        return {**stated, "properties": properties}


def is_fixed(path: Path, fixed: Collection[Path]) -> bool:
    return bool(fixed) and any(path[:length] in fixed for length in range(1, len(path) + 1))


def says_nothing(schema: Schema) -> bool:
    return not set(schema) - {"description", PRESERVE}


def _documented(node: _Node) -> bool:
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
    if value is _MISSING or value is None or value == "":
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


def shown_default(value: Any, told: Told = _SILENT) -> str:
    if isinstance(value, Mapping) and value:
        return ""  # its contents show theirs
    if told.default and (value is _MISSING or value in (None, "")):
        return f"Default: {told.default}"
    if value is _MISSING:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f"Default: {text}" if len(text) <= SHOWN else f"Default: {text[:SHOWN]}... (cut)"
