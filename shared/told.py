"""What the texts of a chart say of its values."""

from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]

ITEM = "[]"
"""The step of a path that means each item of a list."""


@dataclass(frozen=True)
class Told:
    """What a text source says of one value."""

    description: str = ""
    types: tuple[str, ...] = ()
    nullable: bool = False
    schema: dict[str, Any] | None = None
    default: str | None = None
