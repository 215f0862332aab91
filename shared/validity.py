"""Whether a spec is right under a structural schema, as the API server would find it. Pure.

Not checked: formats, and rules in CEL, which often speak of a change and not of a state. Messages name fields and what
they must be, never what they hold: who reads them need not be who wrote the spec.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import re2
from jsonschema import Draft4Validator, ValidationError
from jsonschema.validators import extend

from shared.compatibility import Schema, below, listed, must, rest_of, said, takes_null

PASSED = (
    *("enum", "multipleOf", "pattern", "uniqueItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
)
NAMED = 20
"""How many faults of one spec are told."""

Check = Callable[[Any], list[str]]


def breaks(spec: Any, schema: Schema, at: str = "spec") -> list[str]:
    """Why the spec would be wrong under the schema; fields that would be cut off count."""
    return check(schema, at)(spec)


def check(schema: Schema, at: str = "spec") -> Check:
    """`breaks` for many specs."""
    validator = PlainValidator(plain(schema))

    def found(spec: Any) -> list[str]:
        errors = islice(validator.iter_errors(spec), NAMED)
        return [text for error in errors for text in told(error, at)][:NAMED]

    return found


def plain(schema: Schema, *, closed: bool = True) -> Schema:
    """As JSON Schema, draft 4: the one whose exclusive bounds are booleans too.

    Inside allOf and its like (not `closed`) a field that isn't named is not thereby forbidden.
    """
    result: Schema = {key: schema[key] for key in PASSED if key in schema}
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    elif "type" in schema:
        result["type"] = schema["type"]
    if "properties" in schema:
        result["properties"] = {name: plain(under, closed=closed) for name, under in schema["properties"].items()}
    if required := sorted(must(schema)):
        result["required"] = required
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = plain(schema["additionalProperties"], closed=closed)
    elif closed and rest_of(schema) is None:
        result["additionalProperties"] = False
    if "items" in schema:
        result["items"] = plain(schema["items"], closed=closed)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            result[key] = [plain(each, closed=False) for each in schema[key]]
    if "not" in schema:
        result["not"] = plain(schema["not"], closed=False)
    return {"anyOf": [{"type": "null"}, result]} if closed and "type" in result and takes_null(schema) else result


def _pattern(_: Any, pattern: str, value: Any, __: Schema) -> Iterator[ValidationError]:
    """As the API server matches: in time that is linear, whatever the pattern."""
    compiled = _compiled(pattern)
    if isinstance(value, str) and compiled is not None and not compiled.search(value):
        yield ValidationError("does not match")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    """None for what the API server would not compile either: it has refused such a schema."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


PlainValidator = extend(Draft4Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def told(error: ValidationError, at: str) -> Iterator[str]:
    where = _path(error, at)
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties" and wanted is False:
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        extra = [key for key in _held(error) if key not in known]
        for key in extra:
            yield f"{below(where, str(key))}: there is no such field"
    elif error.validator == "required":
        for key in wanted:
            if key not in _held(error):
                yield f"{below(where, key)}: must be given"
    elif error.validator == "anyOf" and error.context and wanted[0] == {"type": "null"}:
        for inner in error.context:
            if inner.schema_path[0] == 1:
                yield from told(inner, at)
    else:
        yield f"{where}: {_demand(error)}"


def _held(error: ValidationError) -> dict[str, Any]:
    return error.instance if isinstance(error.instance, dict) else {}


def _path(error: ValidationError, at: str) -> str:
    for step in error.absolute_path:
        at = f"{at}[{step}]" if isinstance(step, int) else below(at, step)
    return at


def _demand(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    match error.validator:
        case "type":
            return f"must be {' or '.join(wanted) if isinstance(wanted, list) else wanted}"
        case "enum":
            return f"must be one of {listed(wanted)}"
        case "pattern":
            return f"must match {said(wanted)}"
        case "allOf" | "anyOf" | "oneOf" | "not":
            return f"must satisfy its {error.validator}"
    return f"{error.validator} is {said(wanted)}"
