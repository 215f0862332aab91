"""Versions of charts and ranges of them, as leniently as Helm reads them.

Ranges are ours because Helm's are a dialect: `,` and a space both mean and, `1.2` means any 1.2.x, and a pre-release
counts wherever the range names one, not only beside the same number. PyPI's semantic-version speaks npm's and Cargo's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Order = tuple[int, int, int, tuple[Any, ...]]
"""What versions are compared by: a release after all of its pre-releases, build metadata not at all."""

LONGEST = 128
RELEASE = (1,)
FIRST = (0,)
"""Before every pre-release of the same number."""

_TAIL = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?" + _TAIL, re.ASCII)
_PART = r"(\d+|[xX*])"
_PARTIAL = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?{_TAIL}"
_COMPARATOR = re.compile(rf"\s*(!=|>=|=>|<=|=<|~>|[=<>~^]|)\s*{_PARTIAL}(?:\s*,|\s+|$)", re.ASCII)
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")


def valid(version: str) -> bool:
    return order(version) is not None


def order(version: str) -> Order | None:
    """None for what is no version."""
    match = _VERSION.fullmatch(version) if len(version) <= LONGEST else None
    if match is None:
        return None
    return int(match[1]), int(match[2] or 0), int(match[3] or 0), _pre(match[4])


def _pre(text: str | None) -> tuple[Any, ...]:
    """Numbers come before words."""
    if not text:
        return RELEASE
    return (*FIRST, *((0, int(each), "") if each.isdecimal() else (1, 0, each) for each in text.split(".")))


@dataclass(frozen=True)
class Comparator:
    """From `low` on and before `high`; with `!=`, everything but that."""

    low: Order
    high: Order | None
    pre: bool = False
    """Names a pre-release."""
    outside: bool = False

    def takes(self, version: Order) -> bool:
        return (version >= self.low and (self.high is None or version < self.high)) != self.outside


Range = list[list[Comparator]]
"""Any of these, each of which is all of those."""


def range_of(text: str) -> Range | None:
    """None for what is no range; an exact version is one that takes just itself."""
    if len(text) > LONGEST:
        return None
    groups = [_comparators(_HYPHEN.sub(r">=\1 <=\2", each)) for each in text.split("||")]
    return [group for group in groups if group] if all(groups) else None


def newest(versions: Iterable[str], wanted: Range) -> str | None:
    """The newest of the versions that the range takes."""
    known = {version: found for version in versions if (found := order(version))}
    taken = [version for version, found in known.items() if any(_takes(group, found) for group in wanted)]
    return max(taken, key=lambda version: known[version], default=None)


def _takes(group: list[Comparator], version: Order) -> bool:
    if version[3] != RELEASE and not any(each.pre for each in group):
        return False
    return all(each.takes(version) for each in group)


def _comparators(text: str) -> list[Comparator]:
    """Empty for what is none."""
    found, position = [], 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            return []
        found.append(_comparator(match))
        position = match.end()
    return found


def _comparator(match: re.Match[str]) -> Comparator:
    said = [None if each in (None, "x", "X", "*") else int(each) for each in match.group(2, 3, 4)]
    given = said.index(None) if None in said else 3
    major, minor, patch = [*(number or 0 for number in said[:given]), 0, 0, 0][:3]
    low: Order = (major, minor, patch, _pre(match[5]))
    return _compared(match[1], low, given, pre=match[5] is not None)


def _compared(operator: str, low: Order, given: int, *, pre: bool) -> Comparator:
    """`given` counts the numbers that were said: with 2 of them, every 1.2.x is meant."""
    after = _next(low, given) if given < 3 else (*low[:3], (*low[3], ()))
    match operator:
        case ">=" | "=>":
            return Comparator(low, None, pre)
        case "<":
            return Comparator(low, None, pre, outside=True)
        case ">":
            return Comparator(after or low, None, pre)
        case "<=" | "=<":
            return Comparator(after, None, pre, outside=True) if after else Comparator(low, None, pre)
        case "^":
            return Comparator(low, _next(low, _leading(low, given)), pre)
        case "~" | "~>":
            return Comparator(low, _next(low, min(given, 2)), pre)
    return Comparator(low, after, pre, outside=operator == "!=")


def _next(low: Order, number: int) -> Order | None:
    """The first version with that number raised by one; None beyond all."""
    major, minor, patch, _ = low
    return (None, (major + 1, 0, 0, FIRST), (major, minor + 1, 0, FIRST), (major, minor, patch + 1, FIRST))[number]


def _leading(low: Order, given: int) -> int:
    """Which number ^ keeps: the first that is not 0, or else the last that was said."""
    nonzero = [position for position, number in enumerate(low[:3], 1) if number]
    return nonzero[0] if nonzero else given
