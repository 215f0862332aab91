"""Which templates of a chart read the clock: two renderings within a second do not show it. Pure."""

import re
from collections.abc import Iterator
from pathlib import Path

from shared.archive import Budget, unpack
from shared.errors import Refused

NESTING = 8
_ACTION = re.compile(rb"\{\{.{0,2000}?\}\}", re.DOTALL)
_NOW = re.compile(rb'(?<![.$\w"-])now(?![\w"-])')


def templates_with_clock(archive: Path) -> list[str]:
    try:
        return sorted(_found(archive.read_bytes(), "", Budget(), 0))
    except Refused:
        return []  # register_chart has read it: what is wrong was said


def _found(archive: bytes, where: str, budget: Budget, depth: int) -> Iterator[str]:
    if depth > NESTING:
        return
    for path, content in unpack(archive, where or "the archive", budget, _wanted).items():
        if path.endswith(".tgz"):
            yield from _found(content, f"{where}{path}/", budget, depth + 1)
        elif any(_NOW.search(action) for action in _ACTION.findall(content)):
            yield f"{where}{path}"


def _wanted(path: str) -> bool:
    return path.endswith(".tgz") or "templates/" in path
