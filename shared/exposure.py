"""One parameter of the consumer API: what the chart says of it, and over it what the provider says. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import Refused
from shared.inference import FIXED, describe, is_fixed, shown_default, unknown_line
from shared.known import Known
from shared.offering import Parameter
from shared.structural import ANY, INT_OR_STRING, PRESERVE, Schema, type_of
from shared.validity import breaks
from shared.values import Path, get

SECRET: Schema = {
    "type": "object",
    "required": ["name", "key"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253, "description": "A Secret in this namespace"},
        "key": {"type": "string", "minLength": 1, "maxLength": 253, "description": "The key in its data"},
    },
}


@dataclass(frozen=True)
class Choice:
    """One parameter, or one of the values that a pattern means."""

    parameter: Parameter
    path: Path
    name: Path
    field: str


def exposed(choice: Choice, known: Known, hidden: list[Path], fixed: list[Path]) -> Schema:
    """What the chart says of a value, and over it what the provider says."""
    parameter, field = choice.parameter, choice.field
    if parameter.secret:
        return {**SECRET, "description": parameter.description or known.description(choice.path)}
    found = known.schema_of(choice.path, hidden, fixed)
    kind = stated_type(parameter, found, get(known.values, choice.path))
    schema = found if kind in (None, found.get("type")) else {**TYPES[str(kind)]()}
    schema |= bounds(parameter, schema, field)
    stated = "default" in parameter.model_fields_set
    if stated:
        if wrong := breaks(parameter.default, schema, f"{field}.default"):
            raise Refused("InvalidParameter", wrong[0])
        schema["default"] = parameter.default
    if parameter.immutable:
        check_immutable(choice, schema)
        schema["x-kubernetes-validations"] = [UNCHANGED]
    default = shown_default(parameter.default) if stated else known.default(choice.path)
    if is_fixed(choice.path, fixed):
        default = FIXED
    description = describe(
        parameter.description or known.description(choice.path),
        "" if kind else unknown_line(found.get("description", "")),
        default,
    )
    return {**schema, "description": description} if description else schema


def stated_type(parameter: Parameter, schema: Schema, chart_value: Any) -> str | None:
    """The type that follows from what the provider says of a value whose type the chart does not tell."""
    if parameter.type or "type" in schema or INT_OR_STRING in schema:
        return parameter.type
    kinds = {type_of(each) for each in parameter.enum or ()}
    if len(kinds) == 1:
        return kinds.pop()
    return "string" if parameter.pattern or (parameter.immutable and chart_value == "") else None


def check_immutable(choice: Choice, schema: Schema) -> None:
    """Raises Refused where no CEL rule could compare old and new."""
    what = ""
    if "type" not in schema and INT_OR_STRING not in schema:
        what = "is of unknown type; state its type"
    elif is_open(schema):
        what = (
            "may hold keys that the chart does not name, which no rule compares; make the keys that matter parameters"
        )
    if what:
        raise Refused("InvalidParameter", f"{choice.field}.immutable: {choice.parameter.path} {what}")


NUMBERS = ("integer", "number")


def bounds(parameter: Parameter, schema: Schema, field: str) -> Schema:
    """The provider's limits. Raises Refused where the API server would not apply them."""
    kind = "string" if INT_OR_STRING in schema else schema.get("type")
    for name, kinds in (("minimum", NUMBERS), ("maximum", NUMBERS), ("pattern", ("string",))):
        if getattr(parameter, name) is not None and kind not in kinds:
            what = f"{parameter.path} is {'of unknown type' if kind is None else f'of type {kind}'}"
            raise Refused("InvalidParameter", f"{field}.{name}: {what}; state type: {' or '.join(kinds)}")
    found = {"minimum": parameter.minimum, "maximum": parameter.maximum, "pattern": parameter.pattern}
    stated: Schema = {key: value for key, value in found.items() if value is not None}
    if parameter.enum is not None:
        bare = {key: value for key, value in schema.items() if key != "enum"}
        for index, value in enumerate(parameter.enum):
            if wrong := breaks(value, bare, f"{field}.enum[{index}]"):
                raise Refused("InvalidParameter", wrong[0])
        stated["enum"] = parameter.enum
    return stated


TYPES: dict[str, Callable[[], Schema]] = {
    "string": lambda: {"type": "string"},
    "integer": lambda: {"type": "integer"},
    "number": lambda: {"type": "number"},
    "boolean": lambda: {"type": "boolean"},
    "array": lambda: {"type": "array", "items": dict(ANY)},
    "object": lambda: {"type": "object", PRESERVE: True},
}


def is_open(schema: Schema) -> bool:
    """Whether any part of it takes keys it doesn't name."""
    inside = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return PRESERVE in schema or any(is_open(each) for each in inside)


UNCHANGED: Schema = {"rule": "self == oldSelf", "message": "can't be changed once the instance was made"}


def immutable_rules(chosen: list[Choice]) -> list[Schema]:
    """CEL rules of the whole object: what was left out at first can't be set later, nor the other way round.

    The value itself has a rule of its own (UNCHANGED): comparing optional values exceeds Kubernetes' cost limit.
    """
    rules = []
    for choice in chosen:
        if choice.parameter.immutable:
            steps = ".".join(f"?{cel_name(step, choice.field)}" for step in ("spec", *choice.name))
            rule = f"self.{steps}.hasValue() == oldSelf.{steps}.hasValue()"
            rules.append({**UNCHANGED, "rule": rule, "fieldPath": field_path(("spec", *choice.name))})
    return rules


def field_path(path: Path) -> str:
    """As `fieldPath` of a rule writes it."""
    return "".join(f".{step}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step) else f"['{step}']" for step in path)


_CEL_KEYWORDS = {
    *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import"),
    *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
}


def cel_name(step: str, field: str) -> str:
    """A property's name as CEL writes it (Kubernetes' escapes). Raises Refused for one that CEL has no way to name."""
    if step in _CEL_KEYWORDS:
        return f"__{step}__"
    escaped = step.replace("__", "__underscores__")
    for character, word in ((".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        escaped = escaped.replace(character, word)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", escaped):
        raise Refused("InvalidParameter", f"{field}.immutable: no rule can name {step!r}; give the parameter a name")
    return escaped
