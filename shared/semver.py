"""Versions of charts, as leniently as Helm reads them."""

import re

_VERSION = re.compile(
    r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)


def stable(version: str) -> tuple[int, int, int] | None:
    """What a release is ordered by; None for a pre-release and for what is no version."""
    match = _VERSION.fullmatch(version)
    if match is None or match[4] or not valid(version):
        return None
    return int(match[1]), int(match[2] or 0), int(match[3] or 0)


def valid(version: str) -> bool:
    return len(version) <= 128 and _VERSION.fullmatch(version) is not None
