"""What a chart's text says of one of its values, and which value a name written by a human means. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from shared.offering import Values
from shared.values import Path

ITEM = "[]"
"""The step for "each item of the list"."""

NAME = 512  # characters; a longer name is nobody's documentation


@dataclass(frozen=True)
class Told:
    """What a text source says of one value; what it does not say is left at its default."""

    description: str = ""
    types: tuple[str, ...] = ()
    nullable: bool = False
    schema: dict[str, Any] | None = None
    """JSON Schema as written in a `# @schema` comment, unresolved; `required: true` there is of the value itself."""
    default: str | None = None
    """As the text writes it."""


def over(above: Told, below: Told) -> Told:
    """What is said above counts; what it leaves out is taken from below."""
    said = {field.name: getattr(above, field.name) for field in fields(Told)}
    return Told(**{name: value or getattr(below, name) for name, value in said.items()})


_TYPES = {
    "string": ("str", "string", "text", "quantity", "duration"),
    "integer": ("int", "int32", "int64", "integer"),
    "number": ("float", "float64", "number", "double"),
    "boolean": ("bool", "boolean"),
    "array": ("list", "array", "slice"),
    "object": ("object", "map", "dict", "dictionary"),
    "null": ("null", "nil", "none"),
}
_TYPE_OF = {word: json for json, words in _TYPES.items() for word in words}


def types_of(text: str) -> tuple[str, ...] | None:
    """`int`, `string or null`, `bool/string` as JSON types, with "null"; None where any of it is no type we know."""
    words = [word for word in re.split(r"[\s/|,`*]+", text.lower()) if word not in ("", "or")]
    known = [_TYPE_OF.get(re.sub(r"\[.*", "", word) or "array") for word in words]
    if not known or None in known:
        return None
    return tuple(dict.fromkeys(each for each in known if each))


def typed(types: Iterable[str]) -> dict[str, Any]:
    """The fields of Told that hold these JSON types."""
    stated = dict.fromkeys(types)
    return {"nullable": "null" in stated, "types": tuple(each for each in stated if each != "null")}


class Names:
    """The paths of a values tree, by the names that people write for them: `a.b`, `a[0].b`, `a."x.y"`, `a.x\\.y`.

    A name with dots can mean several paths: the one with the longest key first is meant.
    """

    def __init__(self, values: Values) -> None:
        self.values: dict[Path, Any] = {}
        self._paths: dict[str, Path] = {}
        for path, name, value in _walk(values):
            self.values.setdefault(path, value)
            if _lengths(path) > _lengths(self._paths.get(name, ())):
                self._paths[name] = path

    def find(self, name: str) -> Path | None:
        """The declared value of this name."""
        plain = _join(_steps(name)) if len(name) <= NAME else ""
        return self._paths.get(plain) or self._paths.get(re.sub(r"\.[0-9]+(?=\.|$)", ITEM, plain)) if plain else None

    def place(self, name: str) -> tuple[Path, Path] | None:
        """Where a value that is not declared would be, and its nearest declared parent; None where it can't be."""
        steps = _steps(name) if len(name) <= NAME else ()
        for end in range(len(steps) - 1, 0, -1):
            parent = self._paths.get(_join(steps[:end]))
            if parent is not None:
                rest = steps[end:]
                return ((*parent, *rest), parent) if _can_hold(self.values[parent], rest[0]) else None
        return (steps, ()) if steps and steps[0] != ITEM else None


def _walk(value: Any, path: Path = (), name: str = "") -> Iterator[tuple[Path, str, Any]]:
    if path:
        yield path, name, value
    if isinstance(value, dict):
        for key, inner in value.items():
            longer = f"{name}.{key}" if name else key
            if len(longer) <= NAME:
                yield from _walk(inner, (*path, key), longer)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, (*path, ITEM), name + ITEM)


def _lengths(path: Path) -> tuple[int, ...]:
    return tuple(len(step) for step in path)


def _can_hold(parent: Any, step: str) -> bool:
    return parent is None or isinstance(parent, list if step == ITEM else dict)


_STEP = re.compile(
    r"""\["(?P<double>[^"]*)"\]|\['(?P<single>[^']*)'\]|\[(?P<item>[0-9*]*)\]"""
    r"""|\.?"(?P<quoted>[^"]*)"|\.?(?P<word>(?:\\.|[^.\[\\])+)""",
    re.S,
)


def _steps(name: str) -> Path:
    """The steps a name would have if no key had a dot that is not quoted or escaped; () if it is no name."""
    steps: list[str] = []
    position = 0
    while position < len(name):
        match = _STEP.match(name, position)
        if match is None:
            return ()
        word = match["word"]
        if match["item"] is not None:
            steps.append(ITEM)
        elif word is not None:
            steps.append(re.sub(r"\\(.)", r"\1", word, flags=re.S))
        else:
            steps.append(match["double"] or match["single"] or match["quoted"] or "")
        position = match.end()
    return tuple(steps) if all(steps) else ()


def _join(steps: Path) -> str:
    name = ""
    for step in steps:
        name += ITEM if step == ITEM else f".{step}" if name else step
    return name


_OWN_LINE = re.compile(r"""([-*+•]|[0-9]+[.)])\s|\s{2}|\t|[|>`]|["'\w./-]+:(\s|$)""")


def prose(lines: list[str], raw: bool = False) -> str:
    """Lines of a comment as a text: wrapped sentences are joined, lists and examples keep their lines."""
    text = ""
    for line in lines:
        own = raw or not line.strip() or _OWN_LINE.match(line) or text.endswith("\n")
        text += ("\n" if own else " ") + line.rstrip() if text else line.strip()
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def code(text: str) -> str:
    """Without the backticks around all of it."""
    text = text.strip()
    inner = text.strip("`")
    return inner.strip() if text[:1] == text[-1:] == "`" and "`" not in inner else text
