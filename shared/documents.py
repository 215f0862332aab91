"""YAML from strangers, read as Helm reads it: YAML 1.1 in Go's dialect, ending in what JSON can say.

Everything is measured on the stream of parser events before anything is built: libyaml's composer recurses in C, so a
deep document would take the process with it; its scanner needs the square of the depth, and of the number of %TAG
directives; and aliases can make a kilobyte unfold into gigabytes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import yaml

from shared.errors import Refused

DEPTH = 100
LINE = 100  # characters of text that count as one more node


class Loader(yaml.CSafeLoader):
    """Resolves plain scalars as Go's yaml.v2: no dates or base 60, but y, n, 0o17, 1e3. Other tags are passed over."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors: ClassVar[dict[Any, Any]] = {}

    def nothing(self, _node: yaml.Node) -> None:
        return None

    def text(self, node: yaml.ScalarNode) -> str:
        return str(self.construct_scalar(node))

    def integer(self, node: yaml.ScalarNode) -> int | float:
        digits = self.text(node).replace("_", "")
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        number = int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
        return number if abs(number) < 2**64 else float(number)

    def number(self, node: yaml.ScalarNode) -> float:
        number = float(self.text(node).replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower())
        if not math.isfinite(number):
            raise yaml.constructor.ConstructorError(None, None, "JSON has no such number", node.start_mark)
        return number

    def truth(self, node: yaml.ScalarNode) -> bool:
        return self.text(node).lower() in ("y", "yes", "true", "on")

    def items(self, node: yaml.SequenceNode) -> list[Any]:
        return [self.construct_object(item, deep=True) for item in node.value]

    def mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        self.flatten_mapping(node)
        return {self.key(key): self.construct_object(value, deep=True) for key, value in node.value}

    def key(self, node: yaml.Node) -> str:
        key = self.construct_object(node, deep=True)
        if key is None or isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", node.start_mark)
        return plain(key)

    def any(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return self.items(node)
        return self.text(node) if isinstance(node, yaml.ScalarNode) else None


_RESOLVERS = (
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF", "yYtToOnNfF"),
    ("int", r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0|0[0-7][0-7_]*|[1-9][0-9_]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
for _name, _pattern, _first in _RESOLVERS:
    _characters = [*_first, ""] if _name == "null" else list(_first)
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z"), _characters)
Loader.add_constructor("tag:yaml.org,2002:null", Loader.nothing)
Loader.add_constructor("tag:yaml.org,2002:bool", Loader.truth)
Loader.add_constructor("tag:yaml.org,2002:int", Loader.integer)
Loader.add_constructor("tag:yaml.org,2002:float", Loader.number)
Loader.add_constructor(None, Loader.any)


def load(text: bytes, where: str, limit: int) -> tuple[list[Any], int]:
    """All documents of a stream, and how many nodes they have when aliases are followed; at most `limit`."""
    try:
        decoded = text.decode()
        nodes = measure(decoded, where, limit)
        return list(yaml.load_all(decoded, Loader)), nodes
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        what = " ".join(str(error).split())
        raise Refused("InvalidYaml", f"{where}: {what}; `helm lint` helps to find it") from error


_TAG_DIRECTIVE = re.compile("(?:^|[\ufeff\r\n\x85\u2028\u2029])%TAG")


def _events(text: str, where: str) -> Iterator[yaml.Event]:
    """What the parser sees, as long as it does no harm."""
    if _TAG_DIRECTIVE.search(text):
        raise Refused("InvalidYaml", f"{where}: has a %TAG directive; leave it out")
    depth = 0
    for event in yaml.parse(text, Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise Refused("InvalidYaml", f"{where}: is nested more than {DEPTH} deep")
        yield event


@dataclass
class _Open:
    """A list or mapping whose end has not been seen yet."""

    anchor: str | None
    before: int
    height: int = 1


def measure(text: str, where: str, limit: int) -> int:
    """Count nodes in one pass: an anchor's size is known when its node ends, so each alias costs one look-up."""
    total = 0
    path: list[_Open] = []
    anchors: dict[str, tuple[int, int]] = {}
    for event in _events(text, where):
        if isinstance(event, yaml.CollectionStartEvent):
            path.append(_Open(event.anchor, total))
            anchor, size, height = None, 0, 0  # known at its end
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = path.pop()
            anchor, size, height = ended.anchor, total - ended.before, ended.height + 1
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size, height = event.anchor, 1 + len(event.value) // LINE, 1
            total += size
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise Refused("InvalidYaml", f"{where}: *{event.anchor} has no finished &{event.anchor} before it")
            anchor, (size, height) = None, anchors[event.anchor]
            total += size
        else:
            continue
        if anchor:
            anchors[anchor] = size, height
        if path:
            path[-1].height = max(path[-1].height, height)
        if len(path) + height > DEPTH:
            raise Refused("InvalidYaml", f"{where}: is nested more than {DEPTH} deep")
        if total > limit:
            raise Refused("InvalidYaml", f"{where}: has more than {limit} values once its aliases are followed")
    return total


def plain(value: Any) -> str:
    """A scalar as text, where text is meant: Helm takes `version: 1.2` and `key: {1: x}` too."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def pick(text: str, path: tuple[str, ...], where: str) -> str | None:
    """The text of one value of a large document, found without building the rest of it in memory."""
    try:
        events = _events(text, where)
        _ = next(events), next(events, None)  # the stream and its first document
        for step in path:
            if not isinstance(next(events, None), yaml.MappingStartEvent) or not _go_to(events, step):
                return None
        first = next(events)
        end = _pass(chain([first], events))
    except yaml.YAMLError as error:
        raise Refused("InvalidYaml", f"{where}: {' '.join(str(error).split())}") from error
    start, stop = first.start_mark, end.end_mark
    return " " * start.column + text[start.index : stop.index] if start and stop else None


def _go_to(events: Iterator[yaml.Event], key: str) -> bool:
    """Stop before the value of a key of the mapping that is being read."""
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            return False
        if isinstance(event, yaml.ScalarEvent) and event.value == key:
            return True
        _pass(chain([event], events))
        _pass(events)
    return False


def _pass(events: Iterator[yaml.Event]) -> yaml.Event:
    """Read one node to its end."""
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth == 0:
            return event
    raise AssertionError("the parser ends every node")
