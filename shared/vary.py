"""Another value for a parameter: of its type, and alike enough for templates to make sense of it. Pure.

Whether the API would admit it does not matter: it is only rendered.
"""

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

TRIES = 3
ALTERNATIVES = {
    "ClusterIP": "NodePort",
    "NodePort": "ClusterIP",
    "LoadBalancer": "ClusterIP",
    "IfNotPresent": "Always",
    "Always": "IfNotPresent",
    "Never": "IfNotPresent",
    "ReadWriteOnce": "ReadWriteMany",
    "ReadWriteMany": "ReadWriteOnce",
    "RollingUpdate": "Recreate",
    "Recreate": "RollingUpdate",
    "TCP": "UDP",
    "UDP": "TCP",
    "http": "https",
    "https": "http",
    "true": "false",
    "false": "true",
    "soft": "hard",
    "hard": "soft",
}
FORMATS = {
    "date-time": "2031-02-03T04:05:06Z",
    "date": "2031-02-03",
    "email": "sample@example.com",
    "hostname": "sample.example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/sample",
    "uuid": "00000000-0000-4000-8000-000000000007",
    "byte": "c2FtcGxl",
}
_COUNTED = re.compile(r"(.*?)([0-9]{1,9})([a-zA-Z%]{0,3})", re.DOTALL)


def others(schema: Schema, current: Any) -> list[Any]:
    """Up to three values that differ from the current one and from each other; the likeliest to work first."""
    found: list[Any] = []
    for each in _others(schema, current):
        if not _same(each, current) and not any(_same(each, one) for one in found):
            found.append(each)
        if len(found) == TRIES:
            break
    return found


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _others(schema: Schema, current: Any) -> Iterator[Any]:
    if isinstance(schema.get("enum"), list):
        yield from schema["enum"]
        return
    match kind_of(schema, current):
        case "boolean":
            yield from (not current, True, False)
        case "integer" | "number":
            yield from _numbers(schema, current)
        case "string":
            yield from _texts(schema, current)
        case "array":
            yield from _lists(schema, current)
        case "object":
            yield from _maps(schema, current)
        case _:
            yield from ("sample", {"sample": "sample"}, ["sample"], 1, True)


def kind_of(schema: Schema, current: Any) -> str | None:
    """As the schema says, else as the value that is there suggests."""
    if schema.get("type"):
        return str(schema["type"])
    if schema.get("x-kubernetes-int-or-string") and current is None:
        return "integer"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(current))


def _numbers(schema: Schema, current: Any) -> Iterator[int | float]:
    base = current if isinstance(current, int | float) and not isinstance(current, bool) else schema.get("minimum", 0)
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf") or 1
    for each in (base + step, base - step, low, high, base + 2 * step):
        if each is not None and (low is None or each >= low) and (high is None or each <= high):
            yield int(each) if float(each).is_integer() else each


def _texts(schema: Schema, current: Any) -> Iterator[str]:
    fits = (text for text in _any_texts(schema, current) if len(text) <= schema.get("maxLength", len(text)))
    least = schema.get("minLength", 0)
    yield from (text + "x" * (least - len(text)) if len(text) < least < 1000 else text for text in fits)


def _any_texts(schema: Schema, current: Any) -> Iterator[str]:
    if schema.get("format") in FORMATS:
        yield FORMATS[schema["format"]]
    if not isinstance(current, str) or not current:
        yield from ("sample", "1", "true", "1Gi")
        return
    if current in ALTERNATIVES:
        yield ALTERNATIVES[current]
    if "\n" in current:
        yield f"{current.rstrip()}\n# sample\n"
        return
    counted = _COUNTED.fullmatch(current)
    if "://" in current:
        yield f"{current.rstrip('/')}/sample"
    elif counted:  # 8Gi, 5432, 10m, 1.2.3, 80%
        yield f"{counted[1]}{int(counted[2]) + 1}{counted[3]}"
    elif "/" in current:
        yield f"{current.rstrip('/')}-sample"
    elif re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", current):
        yield f"sample.{current}"
    yield from (f"{current}x", "sample")


def _lists(schema: Schema, current: Any) -> Iterator[list[Any]]:
    there = current if isinstance(current, list) else []
    like = schema.get("items") or {}
    for more in others(like, there[-1]) if there else [sample(like)]:
        yield [*there, more]
    if not there and not like.get("type"):
        yield from ([{"name": "sample", "value": "sample"}], [{"name": "sample"}])
    if there:
        yield there[:-1]


def _maps(schema: Schema, current: Any) -> Iterator[dict[str, Any]]:
    there = current if isinstance(current, dict) else {}
    like = schema.get("additionalProperties")
    properties = schema.get("properties") or {}
    for name, below in properties.items():
        yield there | {name: (others(below, there.get(name)) or ["sample"])[0]}
    if properties and not schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(like, dict) and like:
        yield there | {"sample": sample(like)}
        return
    for value in there.values():  # one more of what is there, under another key
        yield there | {"sample": value}
        break
    yield there | {"sample": "sample"}
    if there:
        first = next(iter(there))
        yield there | {first: (others({}, there[first]) or ["sample"])[0]}


def sample(schema: Schema) -> Any:
    """A first value where there is none."""
    if schema.get("default") is not None:
        return schema["default"]
    properties = schema.get("properties")
    if properties:
        wanted = schema.get("required") or list(properties)[:3]
        return {name: sample(properties[name]) for name in wanted if name in properties}
    if schema.get("type") == "object":
        return {"sample": "sample"}
    return (others(schema, None) or ["sample"])[0]
