"""What a chart's own values.schema.json says of an order: asked before Helm is, so that consumers are told at once."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Self

from shared import charts, jsonschemas
from shared.lifetime import opened
from shared.offering import Values
from shared.store import ChartStore
from shared.values import Path, format_path, get, has, merge

KEPT = 32


@dataclass(frozen=True)
class _Document:
    at: Path
    switches: tuple[Path, ...]
    content: dict[str, Any]


@dataclass(frozen=True)
class ChartSchemas:
    """Of the chart and of those inside it."""

    values: Values
    documents: tuple[_Document, ...]

    def objections(self, fixed: Values, given: Values) -> list[str]:
        """What is wrong with the values of an order (`given`) that isn't wrong without it (`fixed`) already."""
        known = {each for document in self.documents for each in self._faults(document, fixed)}
        found = [each for document in self.documents for each in self._faults(document, given)]
        return [each for each in dict.fromkeys(found) if each not in known]

    def _faults(self, document: _Document, values: Values) -> list[str]:
        merged = settled(merge(self.values, values))
        if not switched_on(document.switches, merged):
            return []
        return jsonschemas.check(
            document.content, get(merged, document.at) or {}, format_path(("values", *document.at))
        )


def settled(values: Values) -> Values:
    """A null deletes a value, for Helm."""
    return {key: settled(each) if isinstance(each, dict) else each for key, each in values.items() if each is not None}


def switched_on(switches: tuple[Path, ...], values: Values) -> bool:
    """As Helm decides: the first condition that is a boolean, else any of the tags."""
    conditions = [get(values, path) for path in switches if path[0] != "tags"]
    decided = next((value for value in conditions if isinstance(value, bool)), None)
    if decided is not None:
        return decided
    tags = [get(values, path) for path in switches if path[0] == "tags" and has(values, path)]
    return not tags or any(tag is not False for tag in tags)


class Schemas:
    """Each chart is read once, and kept as long as it is asked for."""

    def __init__(self, store: ChartStore) -> None:
        self._store = store
        self._kept: OrderedDict[str, ChartSchemas] = OrderedDict()

    @classmethod
    async def open(cls) -> Self:
        return cls(await opened(ChartStore))

    async def close(self) -> None:
        self._kept.clear()

    async def of(self, digest: str) -> ChartSchemas | None:
        """None when the chart is not in the store."""
        if digest not in self._kept:
            archive = await self._store.path(digest)
            if archive is None:
                return None
            self._kept[digest] = await asyncio.to_thread(_read, archive.read_bytes())
        self._kept.move_to_end(digest)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[digest]


def _read(archive: bytes) -> ChartSchemas:
    return schemas_of(charts.inspect(archive))


def schemas_of(chart: charts.Chart) -> ChartSchemas:
    documents = tuple(
        _Document(part.at, part.switches, jsonschemas.parse(part.schema, part.file("values.schema.json")))
        for part in chart.parts
        if part.schema
    )
    return ChartSchemas(chart.values if documents else {}, documents)
