"""`chandlery invoice`: what one consumer owes for a month."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli import periods, tables
from cli.ledger import Where, read
from cli.periods import Span
from shared.metering.invoice import Invoice
from shared.metering.ledger import Ledger
from shared.metering.prices import Charge

Consumer = Annotated[str, typer.Argument(help="The consumer's name.")]
Month = Annotated[str, typer.Option(help="A month: 2026-11 (UTC).")]
COLUMNS = ["offering", "instance", "plan", "per", "start", "end", "quantity", "unit", "price", "amount", "currency"]


def invoice(consumer: Consumer, month: Month, output: tables.As = tables.Format.TABLE, ledger: Where = None) -> None:
    """Show what a consumer owes: a line for each instance, thing and price. Its amount is quantity x price, rounded."""
    now = datetime.now(UTC)
    span = periods.month(month)
    found, behind = read(ledger, lambda opened: asked(opened, consumer, span))
    missing = incomplete(span, behind, now)
    match output:
        case tables.Format.JSON:
            print(tables.as_json(as_object(found, missing)))
        case tables.Format.CSV:
            names = [*COLUMNS, "gap-seconds"]
            print(tables.as_csv(names, [list(as_line(line).values()) for line in found.lines]), end="")
        case tables.Format.TABLE:
            show(found, span, missing)


async def asked(ledger: Ledger, consumer: str, span: Span) -> tuple[Invoice, int]:
    return await ledger.invoice(consumer, *span), await ledger.behind(span.end)


def incomplete(span: Span, behind: int, now: datetime) -> str | None:
    """Why the invoice is not the last word."""
    if not span.is_over(now):
        return f"{span} is not over yet"
    return f"{behind} pods, volumes or nodes have hours that are in no window yet" if behind else None


def as_line(line: Charge) -> dict[str, str | int]:
    return {
        "offering": line.tenure.offering,
        "instance": line.tenure.instance,
        "plan": line.tenure.plan,
        "per": line.per,
        "start": f"{line.start:%FT%TZ}",
        "end": f"{line.end:%FT%TZ}",
        "quantity": tables.exact(line.quantity),
        "unit": line.unit,
        "price": tables.exact(line.unit_price),
        "amount": tables.exact(line.amount),
        "currency": line.currency,
        "gapSeconds": line.gap_ms // 1000,
    }


def as_object(found: Invoice, missing: str | None) -> dict[str, Any]:
    return {
        "consumer": found.consumer,
        "start": f"{found.start:%FT%TZ}",
        "end": f"{found.end:%FT%TZ}",
        "complete": missing is None,
        **({"incomplete": missing} if missing else {}),
        "lines": [as_line(line) for line in found.lines],
        "totals": {currency: tables.exact(total) for currency, total in found.totals.items()},
    }


def show(found: Invoice, span: Span, missing: str | None) -> None:
    print(f"{found.consumer}, {span}")
    if found.lines:
        words = ["OFFERING", "INSTANCE", "PLAN", "WHAT", "FROM", "UNTIL"]
        shown = tables.table(words, ["QUANTITY", "PRICE", "AMOUNT", "", "NOT MEASURED"])
        for line in found.lines:
            shown.add_row(*cells(line))
        for currency, total in found.totals.items():
            shown.add_row("total", *[""] * 7, tables.exact(total), currency)
        print()
        tables.show(shown)
    else:
        print("nothing is charged")
    if missing:
        print(f"\nincomplete: {missing}")


def cells(line: Charge) -> list[str]:
    tenure = line.tenure
    return [
        *(escape(word) for word in (tenure.offering, tenure.instance, tenure.plan, line.per)),
        f"{line.start:%m-%d %H:%M}",
        f"{line.end:%m-%d %H:%M}",
        tables.exact(line.quantity),
        tables.exact(line.unit_price),
        tables.exact(line.amount),
        line.currency,
        tables.lasting(line.gap_ms),
    ]
