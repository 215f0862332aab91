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
HOUR, DAY = 3600, 86400
SPANS = (
    (120, "s", 1, "", 1),
    (600, "m", 60, "s", 1),
    (3 * HOUR, "m", 60, "", 1),
    (8 * HOUR, "h", HOUR, "m", 60),
    (2 * DAY, "h", HOUR, "", 1),
    (8 * DAY, "d", DAY, "h", HOUR),
)
"""Below a limit: unit, its seconds, and what is said besides."""
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
    for limit, unit, size, smaller, part in SPANS:
        if seconds < limit:
            rest = seconds % size // part if smaller else 0
            return f"{seconds // size}{unit}" + (f"{rest}{smaller}" if rest else "")
    return f"{seconds // DAY}d"
