"""What is known of a chart's values, and the schema that follows: the best source there is for each value. Pure.

In this order: values.schema.json, structured comments in values.yaml, the table in the README, plain comments, and the
value itself. A parent's files go before its subchart's. Whatever a source says, the chart's own default is accepted.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared import comments, jsonschemas, readme
from shared.charts import Chart, Part
from shared.inference import MISSING, SAYING, Inference, shown_default
from shared.offering import Values
from shared.structural import ANY, Schema
from shared.texts import SILENT, Node
from shared.told import Told
from shared.values import Path, get, has, merge, nest

SCHEMA = "values.schema.json"
LOOKED_AT = 20_000


@dataclass(frozen=True)
class Known:
    values: Values
    """All that is declared: the chart's values, the globals of its subcharts, and what switches these."""
    texts: Node
    stated: tuple[tuple[Path, Schema], ...]
    """Structural translations of each values.schema.json, by where its values stand; parents first."""
    silent: frozenset[Path]
    """Values that stand in a values.schema.json without a type or anything like it."""

    @classmethod
    def of(cls, chart: Chart) -> Self:
        """Raises Refused for a values.schema.json that is none."""
        texts = Node()
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
        value = get(self.values, path) if has(self.values, path) else MISSING
        inference = Inference(frozenset(without), frozenset(fixed), self.silent, dict(self.stated))
        return inference.schema(path, value, self.texts.at(path) or Node(), self._stated_at(path))

    def description(self, path: Path) -> str:
        """What the chart's texts say of a value; without its default."""
        node = self.texts.at(path)
        return (node.told.description if node else "") or (self._stated_at(path) or {}).get("description", "")

    def default(self, path: Path) -> str:
        """The chart's default, as it is shown."""
        node = self.texts.at(path)
        value = get(self.values, path) if has(self.values, path) else MISSING
        return shown_default(value, node.told if node else SILENT)

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
