"""`chandlery usage`: what was used, by whom, of what."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from cli import periods, tables
from cli.ledger import Where, read
from cli.periods import Span
from shared.metering.ledger import Ledger
from shared.metering.prices import UNITS
from shared.metering.report import Line, customs, dimensions, lines
from shared.metering.usage import Dimension, Filter, Usage


class By(StrEnum):
    INSTANCE = "instance"
    CONSUMER = "consumer"
    OFFERING = "offering"
    PLAN = "plan"
    NAMESPACE = "namespace"


Bys = Annotated[list[By], typer.Option("--by", help="What to sum up by; may be given several times.")]
Some = list[str] | None

SHOWN = {
    "CORE-HOURS": "cpu-core-hour",
    "MEMORY GIB-HOURS": "memory-gib-hour",
    "STORAGE GIB-HOURS": "storage-gib-hour",
    "RECEIVED GIB": "network-received-gib",
    "SENT GIB": "network-transmitted-gib",
}


def usage(
    by: Bys = [By.INSTANCE],  # noqa: B006 typer copies it
    month: periods.Month = None,
    start: periods.From = None,
    end: periods.To = None,
    instance: Annotated[Some, typer.Option(help="Only of NAMESPACE/NAME.", show_default=False)] = None,
    consumer: Annotated[Some, typer.Option(help="Only of this consumer.", show_default=False)] = None,
    offering: Annotated[Some, typer.Option(help="Only of this Offering.", show_default=False)] = None,
    plan: Annotated[Some, typer.Option(help="Only under this plan.", show_default=False)] = None,
    namespace: Annotated[Some, typer.Option(help="Only in this namespace.", show_default=False)] = None,
    output: tables.As = tables.Format.TABLE,
    ledger: Where = None,
) -> None:
    """Show what instances used, and for how long nothing could be read (GAP). Filters may be given several times."""
    now = datetime.now(UTC)
    span = periods.span(month, start, end, now)
    given: dict[Dimension, Some] = {
        "instance": instance,
        "consumer": consumer,
        "offering": offering,
        "plan": plan,
        "consumer_namespace": namespace,
    }
    where = {name: values for name, values in given.items() if values}
    found, behind = read(ledger, lambda opened: asked(opened, span, where, now))
    names = dimensions(by)
    print_as(output, names, lines(found, names), lines(found, []), span)
    if behind:
        note = f"note: {behind} pods, volumes or nodes have readings that are in no window yet; look again later"
        print(note, file=sys.stderr)


async def asked(ledger: Ledger, span: Span, where: Filter, now: datetime) -> tuple[list[Usage], int]:
    """Up to now, if the period goes that far; of one that is over, what its windows say."""
    if not span.is_over(now):
        return await ledger.usage(span.start, span.end, where, live=now), 0
    return await ledger.usage(span.start, span.end, where), await ledger.behind(span.end)


def print_as(
    output: tables.Format, names: Sequence[Dimension], found: list[Line], whole: list[Line], span: Span
) -> None:
    heads = [name.removeprefix("consumer_") for name in names]
    pers = [*UNITS, *customs(found)]
    match output:
        case tables.Format.JSON:
            print(tables.as_json([as_object(heads, line, span) for line in found]))
        case tables.Format.CSV:
            rows = [
                [*line.by, *(tables.exact(line.quantities.get(per, Decimal(0))) for per in pers), line.gap_ms // 1000]
                for line in found
            ]
            print(tables.as_csv([*heads, *pers, "gap-seconds"], rows), end="")
        case tables.Format.TABLE:
            if not found:
                print(f"nothing was used in {span}")
                return
            more = {name.upper(): name for name in customs(found)}
            columns = {**SHOWN, **more}
            shown = tables.table([head.upper() for head in heads], [*columns, "GAP"])
            for line in found:
                shown.add_row(*line.by, *cells(line, columns))
            if len(found) > 1:
                shown.add_row(*["total", *[""] * len(heads)][: len(heads)], *cells(whole[0], columns))
            tables.show(shown)


def cells(line: Line, columns: Mapping[str, str]) -> list[str]:
    numbers = [tables.rounded(line.quantities.get(per)) for per in columns.values()]
    return [*numbers, tables.lasting(line.gap_ms)]


def as_object(heads: Sequence[str], line: Line, span: Span) -> dict[str, Any]:
    return {
        **dict(zip(heads, line.by, strict=True)),
        "start": f"{span.start:%FT%TZ}",
        "end": f"{span.end:%FT%TZ}",
        "usage": {per: tables.exact(quantity) for per, quantity in sorted(line.quantities.items())},
        "gapSeconds": line.gap_ms // 1000,
    }
