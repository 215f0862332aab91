"""What commands print: a table for people, JSON or YAML for programs. What comes from objects and logs is untrusted."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 400
STYLES = {"True": "green", "ok": "green", "False": "red", "missing": "bold red", "limited": "yellow"}


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


As = Annotated[Format, typer.Option("--output", "-o", help="How it is printed.")]


def plain(text: object) -> str:
    """Without what a terminal would obey: a message or a log line is somebody else's."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in str(text))


def cell(value: object) -> Text:
    text = plain("" if value is None else value)
    return Text(text, style=STYLES.get(text, ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    found = Table(*columns, box=None, pad_edge=False, header_style="")
    for row in rows:
        found.add_row(*(cell(each) for each in row))
    return found


def listed(columns: Mapping[str, str], items: Iterable[Mapping[str, Any]]) -> Table:
    """Headings, and the key of each."""
    return table([*columns], [[item.get(key) for key in columns.values()] for item in items])


def show(found: RenderableType) -> None:
    """Into a file or a pipe each row is one line, however long."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=WIDE, highlight=False)
    with console.capture() as captured:
        console.print(found)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def document(found: object, how: Format) -> str:
    """As JSON or YAML."""
    if how == Format.JSON:
        return json.dumps(found, indent=2, default=str)
    return str(yaml.safe_dump(json.loads(json.dumps(found, default=str)), sort_keys=False, allow_unicode=True)).rstrip()


def age(since: str | None, now: datetime | None = None) -> str:
    """As kubectl says it: two units at most."""
    if not since:
        return ""
    try:
        then = datetime.fromisoformat(since)
    except ValueError:
        return ""
    return lasting(int(((now or datetime.now(UTC)) - then).total_seconds()))


def lasting(seconds: int) -> str:
    seconds = max(seconds, 0)
    if seconds < 120:
        return f"{seconds}s"
    for unit, size, smaller, part in (("m", 60, "s", 1), ("h", 3600, "m", 60), ("d", 86400, "h", 3600)):
        if seconds < size * (600 if unit == "m" else 48):
            rest = seconds % size // part
            return (
                f"{seconds // size}{unit}{rest}{smaller}"
                if rest and seconds < 10 * size
                else f"{seconds // size}{unit}"
            )
    return f"{seconds // 86400}d"
