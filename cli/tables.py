"""How reports are printed: a table for people, JSON and CSV for programs."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


As = Annotated[Format, typer.Option("--output", "-o", help="Numbers in json and csv are exact.")]

WIDE = 500


def table(words: Sequence[str], numbers: Sequence[str]) -> Table:
    found = Table(box=None, pad_edge=False, header_style="")
    for each in words:
        found.add_column(each)
    for each in numbers:
        found.add_column(each, justify="right")
    return found


def show(found: Table) -> None:
    """Into a file or a pipe each row is one line, however long."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    with console.capture() as captured:
        console.print(found)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def as_json(found: Any) -> str:
    return json.dumps(found, indent=2, default=str)


def as_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return target.getvalue()


def exact(value: Decimal) -> str:
    return format(value, "f")


def rounded(value: Decimal | None) -> str:
    """For people: three decimals; what is less than that and not nothing says so."""
    if value is None:
        return "-"
    return "<0.001" if 0 < value < Decimal("0.0005") else f"{value:.3f}"


def lasting(ms: int) -> str:
    """1h05m30s, or nothing."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes:02}m" if hours or minutes else "", f"{seconds:02}s"]
    return "".join(parts).lstrip("0") if ms >= 1000 else "-"
