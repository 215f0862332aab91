"""Values: how a chart's values are addressed, merged and filled in. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Refused
from shared.offering import Offering, Parameter, Plan, Values

Path = tuple[str, ...]

_STEP = re.compile(r'(?:(?<=.)\.|(?<!.))([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]', re.S)
_PLACEHOLDER = re.compile(r"\$(\$\(|\(([a-z]+\.[a-z]+)\))")


def parse_path(text: str, field: str = "path") -> Path:
    """`a.b` and `a["x.y"]` as steps."""
    steps: list[str] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            break
        steps.append(match[1] if match[1] is not None else re.sub(r"\\(.)", r"\1", match[2]))
        position = match.end()
    if position != len(text) or not steps:
        raise Refused("InvalidPath", f'{field}: {text!r} is not a path; write a.b, or a["x.y"] for keys with dots')
    return tuple(steps)


def format_path(path: Path) -> str:
    plain = [re.fullmatch(r'[^.\[\]"]+', step) is not None for step in path]
    return "".join(
        (("." if position else "") + step) if simple else '["' + re.sub(r'(["\\])', r"\\\1", step) + '"]'
        for position, (step, simple) in enumerate(zip(path, plain, strict=True))
    )


def has(values: object, path: Path) -> bool:
    for step in path:
        if not isinstance(values, Mapping) or step not in values:
            return False
        values = values[step]
    return True


def get(values: object, path: Path) -> Any:
    """The value at a path, None where there is none."""
    for step in path:
        values = values.get(step) if isinstance(values, Mapping) else None
    return values


def nest(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = {step: value}
    return value


def merge(below: Values, above: Values) -> Values:
    """Maps are merged key by key, anything else from above replaces what is below, as Helm does with several -f."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def leaves(values: Mapping[str, Any], under: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*under, key))
        else:
            yield (*under, key), value


def substitute(value: Any, words: Mapping[str, str], field: str) -> Any:
    """$(instance.name) and the like in every string of a value; $$( is a literal $(."""

    def word(match: re.Match[str]) -> str:
        if match[1] == "$(":
            return "$("
        if match[2] not in words:
            raise Refused("UnknownPlaceholder", f"{field}: $({match[2]}) is none of {', '.join(sorted(words))}")
        return words[match[2]]

    if isinstance(value, str):
        return _PLACEHOLDER.sub(word, value)
    if isinstance(value, dict):
        return {key: substitute(under, words, f"{field}.{key}") for key, under in value.items()}
    if isinstance(value, list):
        return [substitute(item, words, f"{field}[{index}]") for index, item in enumerate(value)]
    return value


def plan_of(offering: Offering, spec: Values) -> Plan | None:
    """The plan an instance is on: the one it names, else the default one, else the first."""
    plans = offering.spec.plans
    if not plans:
        return None
    wanted = spec.get("plan")
    if wanted is None:
        return next((plan for plan in plans if plan.default), plans[0])
    found = next((plan for plan in plans if plan.name == wanted), None)
    if found is None:
        raise Refused("UnknownPlan", f"spec.plan: {wanted!r} is none of {', '.join(plan.name for plan in plans)}")
    return found


def consumer_values(parameters: list[Parameter] | None, spec: Values) -> Values:
    """What the consumer chose, at the chart's paths; nothing that is not a parameter gets through."""
    if parameters is None:
        return {key: value for key, value in spec.items() if key != "plan"}
    values: Values = {}
    for parameter in parameters:
        stands = parse_path(parameter.name or parameter.path)
        if has(spec, stands):
            values = merge(values, nest(parse_path(parameter.path), get(spec, stands)))
    return values


def release_values(offering: Offering, spec: Values, words: Mapping[str, str]) -> Values:
    """All values Helm is given: the consumer's, then the plan's, then the provider's fixed ones, which win."""
    plan = plan_of(offering, spec)
    words = {**words, "plan.name": plan.name if plan else ""}
    values = consumer_values(offering.spec.parameters, spec)
    if plan:
        values = merge(values, substitute(plan.values, words, f"spec.plans[{plan.name}].values"))
    return merge(values, substitute(offering.spec.values, words, "spec.values"))
