"""A manifest to start from: every parameter with its description, what is optional commented out. Pure."""

import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from shared.inference import FIXED
from shared.offering import Offering, Values
from shared.structural import INT_OR_STRING, Schema

WIDTH = 100
LIMIT = 300_000
"""Characters; a ConfigMap holds a megabyte, and others write into it."""
EXAMPLES: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def sample(offering: Offering, spec: Schema, defaults: Values) -> str:
    """`spec` is the schema of the consumer's spec, `defaults` what applies where the consumer chooses nothing."""
    api = offering.spec.api
    about = api.description or f"{api.kind} as offered by {offering.metadata.name}."
    head = [
        *_comment(about),
        "# Edit this and `kubectl apply -f` it. What is commented out is optional and shows the default.",
        f"apiVersion: {api.group}/{api.version}",
        f"kind: {api.kind}",
        "metadata:",
        f"  name: my-{api.kind.lower()}",
        "  namespace: my-namespace",
        "spec:" if spec.get("required") else "spec: {}  # without the braces when something below is chosen",
    ]
    text = "\n".join([*head, *_fields(spec, defaults, spec.get("required", []))]) + "\n"
    if len(text) <= LIMIT:
        return text
    more = f"# ... cut: `kubectl explain {offering.plural}.spec --recursive` shows all\n"
    return text[: text.rindex("\n", 0, LIMIT) + 1] + more


def _fields(schema: Schema, defaults: Any, required: list[str]) -> Iterator[str]:
    properties: dict[str, Schema] = schema.get("properties", {})
    for name in sorted(properties, key=lambda each: each not in required):
        found = properties[name]
        if FIXED in found.get("description", ""):
            continue
        given = defaults.get(name) if isinstance(defaults, dict) else None
        for line in _field(name, found, given):
            yield f"  {line}" if name in required or line.startswith("##") else f"  # {line}"


def _field(name: str, schema: Schema, default: Any) -> Iterator[str]:
    text = "\n".join(line for line in schema.get("description", "").split("\n") if not line.startswith("Default: "))
    yield from _comment(text, "##") if text else ()
    if schema.get("enum"):
        yield from _comment("One of: " + ", ".join(_flow(each) for each in schema["enum"]), "##")
    if schema.get("properties"):
        yield f"{_key(name)}:"
        yield from _fields(schema, default, schema.get("required") or list(schema["properties"]))
        return
    value = schema.get("default", default)
    if value is None and not schema.get("nullable"):
        value = schema["enum"][0] if schema.get("enum") else EXAMPLES.get(schema.get("type", ""), "")
        value = 1 if INT_OR_STRING in schema else max(value, schema.get("minimum", value)) if value == 0 else value
    dumped = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True, width=WIDTH).rstrip("\n")
    yield from dumped.split("\n")


def _comment(text: str, mark: str = "#") -> list[str]:
    wrapped = [textwrap.wrap(line, WIDTH) or [""] for line in text.split("\n")]
    return [f"{mark} {line}".rstrip() for lines in wrapped for line in lines]


def _key(name: str) -> str:
    return yaml.safe_dump({name: 0}, allow_unicode=True).rpartition(":")[0]


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
