"""JSON Schema in comments: blocks of YAML between two `# @schema` (dadav/helm-schema), `# @schema type:string` on one
line (losisin/helm-values-schema-json). Pure.
"""

import json
from dataclasses import dataclass
from typing import Any

from shared import documents
from shared.errors import Refused
from shared.told import Told, typed, types_of

Schema = dict[str, Any]

TAG = "@schema"
ROOT = "@schema.root"
NODES = 2_000

_TEXTS = {"pattern", "title", "description", "format", "$ref", "$id"}
_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_COUNTS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
_FLAGS = {"required", "uniqueItems", "readOnly", "deprecated", "nullable"}
_LISTS = {"type", "enum", "examples"}
_SCHEMAS = {"additionalProperties", "unevaluatedProperties", "patternProperties", "properties", "items", "default"}
_SCHEMAS |= {"const", "allOf", "anyOf", "oneOf", "not"}
_OPEN = {"additionalProperties", "unevaluatedProperties"}
_OF_ITEMS = {"item": "type", "itemProperties": "properties", "itemRequired": "required", "itemEnum": "enum"}
_OF_ITEMS |= {"itemRef": "$ref"}


@dataclass(frozen=True)
class Annotated:
    """A comment taken apart: what its @schema parts say, and the other lines before and after the last block."""

    told: Told | None
    before: list[str]
    after: list[str]


def read(lines: list[str]) -> Annotated:
    block: list[str] = []
    short: list[str] = []
    before: list[str] = []
    after: list[str] = []
    opened = ""
    for line in lines:
        word = line.strip()
        if word in (TAG, ROOT):
            opened = "" if opened == word else opened or word
            before, after = before + after, []
        elif opened:
            block += [line] if opened == TAG else []
        elif word.startswith(f"{TAG} "):
            short.append(word)
        else:
            after.append(line)
    if opened:  # it never ends: whatever is below could be part of it
        return Annotated(None, before, [])
    schema = {**_parse("\n".join(block)), **one_line(short)}
    return Annotated(told_by(schema) if schema else None, before, after)


def _parse(block: str) -> Schema:
    try:
        parsed, _ = documents.load(block.encode(), "an @schema comment", NODES)
    except Refused:
        return {}
    return _with_null(parsed[0]) if len(parsed) == 1 and isinstance(parsed[0], dict) else {}


def _with_null(schema: Any) -> Any:
    """YAML reads `type: [string, null]` as no type; "null" is meant."""
    if isinstance(schema, list):
        return [_with_null(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    known = {key: _with_null(value) for key, value in schema.items()}
    match known.get("type", ""):
        case None:
            known["type"] = "null"
        case list() as types:
            known["type"] = ["null" if each is None else each for each in types]
    return known


def told_by(schema: Schema) -> Told:
    stated = schema.get("type")
    words = stated if isinstance(stated, list) else [stated]
    types = [json_type for word in words if isinstance(word, str) for json_type in types_of(word) or ()]
    description, default = schema.get("description"), schema.get("default")
    return Told(
        description=description.strip() if isinstance(description, str) else "",
        schema=schema,
        default=None if default is None else default if isinstance(default, str) else json.dumps(default),
        **typed(types),
    )


def one_line(comments: list[str]) -> Schema:
    """Keywords of `@schema type:[string, null]; minLength:1`; what is no keyword or makes no sense is passed over."""
    parts = [part.partition(":") for comment in comments for part in comment.removeprefix(TAG).split(";")]
    schema: Schema = {}
    for key, text in {key.strip(): text.strip() for key, _, text in parts}.items():
        _keyword(schema, key, text)
    if schema.pop("nullable", False):
        types = schema.get("type", [])
        types = types if isinstance(types, list) else [types]
        schema["type"] = [*types, "null"] if "null" not in types else types
    return schema


def _keyword(schema: Schema, key: str, text: str) -> None:
    if key in _OF_ITEMS:
        _keyword(schema.setdefault("items", {}), _OF_ITEMS[key], text)
    elif (value := _value(key, text)) is not None:
        schema[key] = value


def _value(key: str, text: str) -> Any:
    """None for what is no value of this keyword."""
    if key in _TEXTS:
        return text or None
    if key in _LISTS or (key == "required" and text.startswith("[")):
        return _list(key, text)
    if key in _FLAGS:
        return {"": True, "true": True, "false": False}.get(text)
    if key in _OPEN and not text:
        return True
    value = _parse(f"value: {text}").get("value")
    if key in _NUMBERS:
        return value if type(value) in (int, float) else None
    if key in _COUNTS:
        return value if type(value) is int and value >= 0 else None
    return value if key in _SCHEMAS else None


def _list(key: str, text: str) -> Any:
    """`[a, b]`, or `a, b`. Types are words; a single one stays single."""
    listed = _parse(f"list: {text}" if text.startswith("[") else f"list: [{text}]").get("list")
    if not isinstance(listed, list) or not listed:
        return None
    if key not in ("type", "required"):
        return listed
    words = ["null" if each is None else str(each) for each in listed]
    return words[0] if key == "type" and not text.startswith("[") and len(words) == 1 else words
