"""`chandlery focus export`: charges, or what nodes cost by who used them, as the FinOps Foundation's FOCUS has them."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli import periods
from cli.ledger import Where, read
from cli.periods import Span
from shared.errors import Refused
from shared.metering import nodes
from shared.metering.focus import Issuer, Row, row, to_csv
from shared.metering.ledger import Ledger
from shared.metering.nodes import Cost, Period

focus = typer.Typer(no_args_is_help=True, help="What was charged, as FOCUS 1.2.")

Month = Annotated[str, typer.Option(help="A month: 2026-11 (UTC).")]
Costs = Annotated[
    Path | None,
    typer.Option(
        "--node-costs",
        help="CSV of node,cost,currency for that month. Then nodes' costs are exported, split by who used the nodes,"
        " instead of charges.",
        show_default=False,
    ),
]
Share = Annotated[
    bool, typer.Option("--share-idle", help="Split what was idle among those who were there; else it is a row.")
]
Provider = Annotated[str, typer.Option(help="Who provides, publishes and bills.")]
Region = Annotated[str | None, typer.Option(help="Where the cluster is.", show_default=False)]


@focus.callback()
def _group() -> None:
    """Keeps `export` a command of its own."""


@focus.command()
def export(
    month: Month,
    node_costs: Costs = None,
    share_idle: Share = False,
    provider: Provider = "Chandlery",
    region: Region = None,
    ledger: Where = None,
) -> None:
    """Write charges of a month as FOCUS 1.2, in CSV. The sum of BilledCost is that of the invoices."""
    issuer = Issuer(provider, provider, provider, region)
    span = periods.month(month)
    costs = costs_in(node_costs) if node_costs else None
    rows, behind, notes = read(ledger, lambda opened: asked(opened, span, issuer, costs, share_idle))
    print(to_csv(rows), end="")
    if not span.is_over(datetime.now(UTC)):
        notes.append(f"{span} is not over yet")
    if behind:
        notes.append(f"{behind} pods, volumes or nodes have hours that are in no window yet")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def costs_in(file: Path) -> list[Cost]:
    try:
        if file.stat().st_size > nodes.SIZE_LIMIT:
            raise Refused("InvalidCosts", f"{file}: has more than {nodes.SIZE_LIMIT // 1024} KiB")
        return nodes.costs_in(file.read_text("utf-8-sig"), str(file))
    except OSError as error:
        raise Refused("InvalidCosts", f"{file}: can't be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise Refused("InvalidCosts", f"{file}: is no text") from error


async def asked(
    ledger: Ledger, span: Span, issuer: Issuer, costs: list[Cost] | None, share_idle: bool
) -> tuple[list[Row], int, list[str]]:
    behind = await ledger.behind(span.end)
    if costs is None:
        charges = await ledger.charges(*span)
        rows = [row(each, issuer, invoice_id(span, each.tenure.consumer)) for each in charges]
        return rows, behind, []
    used = await ledger.by_node(*span)
    without = sorted({each.node for each in used} - {cost.node for cost in costs})
    notes = [f"{', '.join(without)}: used, but without a cost in the file"] if without else []
    return list(nodes.rows(costs, used, Period(*span), issuer, share_idle)), behind, notes


def invoice_id(span: Span, consumer: str) -> str | None:
    """Of `chandlery invoice`, which is provisional until the month is over."""
    return f"{span.month}/{consumer}" if consumer else None
