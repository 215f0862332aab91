"""The parameters of a consumer API, as its schema has them, and where each goes in the chart's values. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.errors import Refused
from shared.offering import Parameter, Values
from shared.values import Path, format_path, get, parse_path

Schema = dict[str, Any]


@dataclass(frozen=True)
class Leaf:
    """One parameter: where it stands in the spec, where it goes in the values, what it may be, what it is."""

    name: Path
    path: Path
    schema: Schema
    current: Any
    secret: bool = False
    """The consumer gives {name, key} of a Secret."""
    fixed: str | None = None
    """Where the provider has fixed it all the same."""

    @property
    def shown(self) -> str:
        return format_path(self.name)


def leaves_of(
    spec: Schema, parameters: list[Parameter] | None, effective: Values, fixed: dict[str, Values]
) -> list[Leaf]:
    """`effective` are the values that a default order comes to, `fixed` those that win over it, by where they stand."""
    moved = sorted(_moves(parameters or []), key=lambda move: -len(move[0]))
    secrets = {name for name, _ in _moves([each for each in parameters or [] if each.secret])}
    found = []
    for name, schema in _leaves(spec, (), secrets):
        path = next((to + name[len(start) :] for start, to in moved if name[: len(start)] == start), name)
        by = next((where for where, values in fixed.items() if _settled(get(values, path))), None)
        found.append(Leaf(name, path, schema, get(effective, path), name in secrets, by))
    return found


def _settled(value: Any) -> bool:
    """To a map consumers can still add."""
    return value is not None and not isinstance(value, dict)


def _moves(parameters: list[Parameter]) -> Iterator[tuple[Path, Path]]:
    for each in parameters:
        try:
            yield parse_path(each.name or each.path), parse_path(each.path)
        except Refused:
            continue  # a pattern: what it means keeps its path


def _leaves(schema: Schema, at: Path, whole: set[Path]) -> Iterator[tuple[Path, Schema]]:
    for name, below in (schema.get("properties") or {}).items():
        if below.get("properties") and (*at, name) not in whole:
            yield from _leaves(below, (*at, name), whole)
        else:
            yield (*at, name), below
