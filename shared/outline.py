"""Where each value of a YAML text stands, and where its comments are, by the parser's marks and not by looks. Pure."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from shared import documents
from shared.errors import Refused
from shared.told import ITEM
from shared.values import Path

LIMIT = 2 * 1024 * 1024  # ten times what the largest public charts have
NODES = 200_000
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what ends a line in YAML 1.1
_BEFORE_A_NODE = re.compile(r"[\s?-]*\Z")
_NOT_TEXT = re.compile(r"\A[ \t\ufeff]*(?:(?:-[ \t]+)+(?=#))?")
_MERGE = "<<"


Mark = Any
"""The parser's: line and column, from 0."""


@dataclass(frozen=True)
class Entry:
    """A key or list item with nothing but space, dashes or another entry before it on its line."""

    path: Path
    line: int
    mark: int
    """Of the node in the text; a copy that an alias or a merge makes has the original's."""
    copied: bool = False


@dataclass(frozen=True)
class Comment:
    line: int
    column: int
    text: str
    """From its # on."""


@dataclass(frozen=True)
class Run:
    """Comment lines with nothing between them."""

    comments: list[Comment]
    below: int | None
    """The first line after it that has a value, unless there is another comment before."""

    @property
    def touches(self) -> bool:
        return self.below == self.comments[-1].line + 1


@dataclass
class Outline:
    lines: list[str]
    entries: list[Entry] = field(default_factory=list)
    heads: dict[int, int] = field(default_factory=dict)
    """By line the mark of the first entry."""
    tails: dict[int, int] = field(default_factory=dict)
    """By line the mark of the last entry."""
    inside: set[int] = field(default_factory=set)
    """Lines that begin inside a value."""
    ends: dict[int, int] = field(default_factory=dict)
    """By line the column where its last value ends."""

    @cached_property
    def runs(self) -> list[Run]:
        runs: list[Run] = []
        open_run: list[Comment] = []
        for number, line in enumerate(self.lines):
            text = _NOT_TEXT.sub("", line)
            is_value = number in self.inside or (text != "" and text[0] != "#")
            if open_run and (is_value or (text and open_run[-1].line + 1 < number)):
                runs.append(Run(open_run, number if is_value else None))
                open_run = []
            if text and not is_value:
                open_run.append(Comment(number, len(line) - len(text), text))
        return [*runs, Run(open_run, None)] if open_run else runs

    def indent(self, number: int) -> int:
        return len(self.lines[number]) - len(self.lines[number].lstrip(" "))

    def trailing(self, number: int) -> str:
        """The comment behind the values of a line, from its # on; or nothing."""
        rest = self.lines[number][self.ends.get(number, 0) :].replace("\t", " ")
        start = 0 if rest.startswith("#") else rest.find(" #") + 1
        return rest[start:] if start or rest.startswith("#") else ""


def outline(text: bytes | str) -> Outline | None:
    """None where the text is not YAML, or not YAML that may be built."""
    if len(text) > LIMIT:
        return None
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        documents.measure(decoded, "values.yaml", NODES)
        return _Reader(decoded).read()
    except (Refused, yaml.YAMLError, ValueError):
        return None


@dataclass
class _Frame:
    """A list or map that is being read."""

    path: Path
    event: yaml.CollectionStartEvent
    since: int
    """How many entries there were before it."""
    merged: bool
    """What is in it belongs to the map around it: << with a list or a map."""
    key: str | None = None

    @property
    def mapping(self) -> bool:
        return isinstance(self.event, yaml.MappingStartEvent)

    def below(self) -> tuple[Path, bool]:
        """The path of the value that comes next, and whether it is merged into what is there."""
        if self.mapping:
            return (self.path, True) if self.key == _MERGE else ((*self.path, self.key or ""), False)
        return (self.path, True) if self.merged else ((*self.path, ITEM), False)


class _Reader:
    """Follows the events of the parser, which come in the order of the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found = Outline(_BREAK.split(text))
        self.frames: list[_Frame] = []
        self.anchors: dict[str, tuple[Path, int, int]] = {}
        self.marks = 0

    def read(self) -> Outline:
        for event in yaml.parse(self.text, documents.Loader):
            if isinstance(event, yaml.CollectionEndEvent):
                self.end(event)
            elif isinstance(event, yaml.NodeEvent):
                self.node(event)
        return self.found

    def node(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.span(event)
        frame = self.frames[-1] if self.frames else None
        if frame and frame.mapping and frame.key is None:
            frame.key = _key(event)
            if frame.key != _MERGE:
                self.enter((*frame.path, frame.key), event)
            return
        path, merged = frame.below() if frame else ((), False)
        if frame and not frame.mapping and not merged:
            self.enter_item(path, event)
        if isinstance(event, yaml.CollectionStartEvent):
            self.frames.append(_Frame(path, event, len(self.found.entries), merged))
            return
        if isinstance(event, yaml.AliasEvent):
            self.copy(event, path)
        self.value_ended()

    def end(self, event: yaml.Event) -> None:
        frame = self.frames.pop()
        if frame.event.anchor:
            self.anchors[frame.event.anchor] = frame.path, frame.since, len(self.found.entries)
        if frame.event.flow_style:
            self.ended(_marks(event)[1])
        self.value_ended()

    def value_ended(self) -> None:
        if self.frames:
            self.frames[-1].key = None

    def ended(self, mark: Mark) -> None:
        self.found.ends[mark.line] = max(mark.column, self.found.ends.get(mark.line, 0))

    def span(self, event: yaml.ScalarEvent) -> None:
        start, end = _marks(event)
        self.found.inside.update(range(start.line + 1, end.line + (end.column > 0)))
        self.ended(start if event.style in ("|", ">") else end)

    def enter_item(self, path: Path, event: yaml.NodeEvent) -> None:
        """An item stands where its dash is; what follows a lone dash on later lines are its own keys."""
        start, _ = _marks(event)
        dash = self.found.lines[start.line][: start.column].lstrip().startswith("-")
        if dash or isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            self.enter(path, event)

    def enter(self, path: Path, event: yaml.NodeEvent) -> None:
        start, _ = _marks(event)
        if not _BEFORE_A_NODE.match(self.found.lines[start.line][: start.column]):
            return
        self.found.entries.append(Entry(path, start.line, self.marks))
        self.found.heads.setdefault(start.line, self.marks)
        self.found.tails[start.line] = self.marks
        self.marks += 1

    def copy(self, event: yaml.AliasEvent, path: Path) -> None:
        if event.anchor in self.anchors:  # else it is a scalar's
            source, since, until = self.anchors[event.anchor]
            for entry in self.found.entries[since:until]:
                inner = entry.path[len(source) :]
                self.found.entries.append(Entry((*path, *inner), entry.line, entry.mark, copied=True))


def _marks(event: yaml.Event) -> tuple[Mark, Mark]:
    return event.start_mark, event.end_mark


def _key(event: yaml.NodeEvent) -> str:
    """As documents.Loader names it: `1.0:` is "1", `yes:` is "true"."""
    if not isinstance(event, yaml.ScalarEvent):
        raise ValueError("a key must be a plain word")
    value: str = event.value
    resolvers = documents.Loader.yaml_implicit_resolvers.get(value[:1], ())
    if not event.implicit[0] or not any(pattern.match(value) for _, pattern in resolvers) or value == _MERGE:
        return value
    (key,), _ = documents.load(value.encode(), "a key", 1)
    return documents.plain(key)
