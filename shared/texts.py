"""What all texts of a chart say together, as a tree of its values. Pure."""

from dataclasses import dataclass, field

from shared.told import Told
from shared.values import Path

SILENT = Told()


@dataclass
class Node:
    """What the texts say of one value and of what is below it."""

    told: Told = SILENT
    below: dict[str, "Node"] = field(default_factory=dict)

    def at(self, path: Path) -> "Node | None":
        node: Node | None = self
        for step in path:
            node = node.below.get(step) if node else None
        return node

    def add(self, path: Path, told: Told) -> None:
        node = self
        for step in path:
            node = node.below.setdefault(step, Node())
        node.told = prefer(node.told, told)


def prefer(first: Told, second: Told) -> Told:
    """What the first source says, and where it is silent the second."""
    typed = first if first.types or first.schema else second
    return Told(
        description=first.description or second.description,
        types=typed.types,
        nullable=typed.nullable,
        schema=typed.schema,
        default=first.default if first.default is not None else second.default,
    )
