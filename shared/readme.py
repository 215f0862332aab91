"""What a chart's README says of its values, in tables as people, helm-docs and readme-generator write them. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.offering import Values
from shared.told import Names, Told, code, over, typed, types_of
from shared.values import Path

LIMIT = 1024 * 1024
CELLS = 30_000  # as many | the Markdown may have; 4,000 values in four columns have 20,000
TAGS = 60_000
LINES = 40_000

Table = list[list[str]]
"""Rows of cells in Markdown; the first row has the names of the columns."""


def told(text: bytes | str, values: Values) -> dict[Path, Told]:
    """By path: of a declared value, or of another one in a table that is clearly about values."""
    if len(text) > LIMIT:
        return {}
    decoded = text.decode(errors="replace") if isinstance(text, bytes) else text
    names = Names(values)
    result: dict[Path, Told] = {}
    for table in [*_markdown_tables(decoded), *_html_tables(decoded)]:
        for path, each in _rows(table, names):
            result[path] = over(result.get(path, Told()), each)
    return {path: each for path, each in result.items() if each != Told()}


def _markdown_tables(text: str) -> list[Table]:
    if text.count("|") > CELLS or text.count("\n") > LINES:
        return []
    markdown = MarkdownIt("zero").enable(["table", "fence", "code", "heading"]).disable("inline")
    return _tables(markdown.parse(text))


def _tables(tokens: Iterable[Token]) -> list[Table]:
    tables: list[Table] = []
    inside = False
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("td_open", "th_open", "td_close", "th_close"):
            inside = token.nesting == 1
        elif inside and token.type == "inline":
            tables[-1][-1].append(token.content)
    return tables


def _html_tables(text: str) -> list[Table]:
    if "<table" not in text or text.count("<") > TAGS:
        return []
    reader = _HtmlTables()
    reader.feed(re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M))
    return reader.tables


class _HtmlTables(HTMLParser):
    """Cells keep their code as Markdown has it; other markup goes."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - HTMLParser gives them
        if tag == "table":
            self.tables.append([])
        elif tag in ("tr", "thead") and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables:
            self.cell = []
        elif self.cell is not None and tag in ("code", "br"):
            self.cell.append("`" if tag == "code" else "<br>")

    def handle_endtag(self, tag: str) -> None:
        if self.cell is not None and tag == "code":
            self.cell.append("`")
        elif self.cell is not None and tag in ("td", "th", "tr", "table"):
            if not self.tables[-1]:
                self.tables[-1].append([])
            self.tables[-1][-1].append("".join(self.cell).strip())
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell.append(data)


_COLUMNS: dict[str, Sequence[str]] = {
    "name": (
        "name",
        "parameter",
        "key",
        "option",
        "configuration",
        "setting",
        "property",
        "variable",
        "field",
        "value",
    ),
    "description": ("description", "desc", "meaning", "purpose", "explanation", "detail"),
    "default": ("default", "default value", "value"),
    "type": ("type", "data type"),
}


def _columns(header: list[str]) -> dict[str, int] | None:
    """Where each column is; None for a table that is not of values. "Value" can be the name or the default."""
    words = [re.sub(r"s$", "", re.sub(r"[^a-z ]+", "", prose(cell).lower()).strip()) for cell in header]
    found: dict[str, int] = {}
    for column, known in _COLUMNS.items():
        places = [words.index(word) for word in known if word in words and words.index(word) not in found.values()]
        if places:
            found[column] = places[0]
    return found if "name" in found and ("description" in found or "default" in found) else None


def _rows(table: Table, names: Names) -> Iterator[tuple[Path, Told]]:
    rows = [row for row in table if row]
    columns = _columns(rows[0]) if rows else None
    if columns is None:
        return
    named = [(name_in(_cell(row, columns, "name")), row) for row in rows[1:]]
    declared = [names.find(name) for name, _ in named]
    of_values = sum(path is not None for path in declared) * 2 >= len(named)
    for (name, row), path in zip(named, declared, strict=True):
        place = names.place(name) if of_values and _NAME.fullmatch(name) else None
        if path:
            yield path, _told(row, columns)
        elif place:
            yield place[0], _told(row, columns)


def _cell(row: list[str], columns: dict[str, int], column: str) -> str:
    index = columns.get(column, len(row))
    return row[index] if index < len(row) else ""


def _told(row: list[str], columns: dict[str, int]) -> Told:
    default = code(prose(_cell(row, columns, "default")))
    types = types_of(prose(_cell(row, columns, "type"))) or ()
    if default in ("nil", "null", "None"):  # helm-docs calls every null a string, for want of knowing
        types = tuple(each for each in types if each != "string")
    return Told(description=prose(_cell(row, columns, "description")), default=default or None, **typed(types))


_NAME = re.compile(r"""[\w.\-/\[\]"'\\*$:@]+""")
_ESCAPED = re.compile(r"(`[^`]*`)|\\([!-/:-@\[-`{-~])")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")


def prose(cell: str) -> str:
    """Markdown as it is, but breaks are lines, and nothing is escaped."""
    lines = re.sub(r"<(?:br|/p)[ \t]{0,9}/?>", "\n", cell, flags=re.I)
    plain = re.sub(
        r"</?(?:a|b|i|p|em|strong|pre|div|span|sub|sup|ul|ol|li|small|kbd)(?:\s[^<>]*)?/?>", "", lines, flags=re.I
    )
    plain = re.sub(r"</?(?:code|tt)>", "`", plain, flags=re.I)
    unescaped = unescape(_ESCAPED.sub(lambda match: match[1] or match[2], plain))
    return "\n".join(line.strip() for line in unescaped.strip().split("\n"))


def name_in(cell: str) -> str:
    """`a.b`, **a.b**, [a.b](#a-b) and .Values.a.b all name a.b."""
    name = _LINK.sub(r"\1", prose(cell)).strip("*_` \n")
    return re.sub(r"^\.?Values\.", "", name)
