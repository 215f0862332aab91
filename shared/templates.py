"""Which kinds a chart's templates name in so many words, also where no default switches them on. Pure."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from shared.archive import Budget, unpack
from shared.errors import Refused

NESTING = 8
LINE = 300
_KIND = re.compile(r"""kind:\s*["']?([A-Z][A-Za-z0-9]{0,62})["']?\s*(#.*)?""")
_API = re.compile(r"""apiVersion:\s*["']?([a-z0-9.-]{1,253}/v[a-z0-9]{1,20}|v[0-9][a-z0-9]{0,20})["']?\s*(#.*)?""")
_LOOKUP = re.compile(r'\blookup\s{1,9}"([a-z0-9./-]{1,300})"\s{1,9}"([A-Z][A-Za-z0-9]{0,62})"')

Named = tuple[str | None, str]
"""Group and kind; None where the template works its apiVersion out."""


def texts(archive: Path) -> list[str]:
    """Of everything below templates/, subcharts included."""
    try:
        return list(_texts(archive.read_bytes(), Budget(), 0))
    except Refused:
        return []  # register_chart has read it: what is wrong was said


def _texts(archive: bytes, budget: Budget, depth: int) -> Iterator[str]:
    if depth > NESTING:
        return
    for path, content in unpack(archive, "the archive", budget, _wanted).items():
        if path.endswith(".tgz"):
            yield from _texts(content, budget, depth + 1)
        else:
            yield content.decode(errors="replace")


def _wanted(path: str) -> bool:
    return path.endswith(".tgz") or "templates/" in path


def named(templates: Iterable[str]) -> set[Named]:
    """Objects at the left margin: a kind further in is a field of something else, such as a scaler's target."""
    return {found for text in templates for found in _named(text)}


def _named(text: str) -> Iterator[Named]:
    group: str | None = None
    for line in text.splitlines():
        if line.startswith("---"):
            group = None
        elif line.startswith("apiVersion:"):
            stated = _API.fullmatch(line[:LINE])
            group = group_of(stated[1]) if stated else None
        elif line.startswith("kind:") and (kind := _KIND.fullmatch(line[:LINE])):
            yield group, kind[1]


def looked_up(templates: Iterable[str]) -> set[Named]:
    """What templates look for in the cluster while they are rendered."""
    return {(group_of(found[1]), found[2]) for text in templates for found in _LOOKUP.finditer(text)}


def group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]
