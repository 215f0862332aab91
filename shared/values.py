"""Values: how a chart's values are addressed, merged and filled in. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from shared.errors import Refused
from shared.offering import Offering, Parameter, Plan, Values

Path = tuple[str, ...]


@dataclass(frozen=True)
class Glob:
    """A step of a pattern: * stands for any characters of one key, ** alone for any number of keys."""

    text: str


Pattern = tuple[str | Glob, ...]

_STEP = re.compile(r'(?:(?<=.)\.|(?<!.))([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]', re.S)
_PLACEHOLDER = re.compile(r"\$(\$\(|\(([a-z]+\.[a-z]+)\))")


def parse_path(text: str, field: str = "path") -> Path:
    """`a.b` and `a["x.y"]` as steps."""
    return tuple(step for step, _ in _steps(text, field))


def parse_pattern(text: str, field: str = "path") -> Pattern:
    """A path that may hold * and ** outside of quotes."""
    return tuple(Glob(step) if plain and "*" in step else step for step, plain in _steps(text, field))


def _steps(text: str, field: str) -> list[tuple[str, bool]]:
    """Each step, and whether it stands there without quotes."""
    steps: list[tuple[str, bool]] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            break
        plain = match[1] is not None
        steps.append((match[1] if plain else re.sub(r"\\(.)", r"\1", match[2]), plain))
        position = match.end()
    if position != len(text) or not steps:
        raise Refused("InvalidPath", f'{field}: {text!r} is not a path; write a.b, or a["x.y"] for keys with dots')
    return steps


def is_glob(pattern: Pattern) -> bool:
    return any(isinstance(step, Glob) for step in pattern)


def matches(pattern: Pattern, values: object, under: Path = ()) -> Iterator[Path]:
    """The paths of values that a pattern means, the shallowest only: what is below them comes with them."""
    if not pattern:
        yield under
        return
    if not isinstance(values, Mapping):
        return
    first, rest = pattern[0], pattern[1:]
    if first == Glob("**"):
        found = set(matches(rest, values, under)) if rest else {(*under, key) for key in values}
        for key, below in values.items():
            if rest:
                found |= set(matches(pattern, below, (*under, key)))
        yield from sorted(path for path in found if not any(path[:cut] in found for cut in range(len(path))))
        return
    for key, below in values.items():
        if key == first or (isinstance(first, Glob) and fnmatchcase(key, first.text)):
            yield from matches(rest, below, (*under, key))


def format_path(path: Path) -> str:
    plain = [re.fullmatch(r'[^.\[\]"*]+', step) is not None for step in path]
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


def consumer_values(parameters: list[Parameter] | None, spec: Values, reserved: Iterable[Path] = ()) -> Values:
    """What the consumer chose, at the chart's paths; nothing that is not a parameter gets through.

    `reserved` lies below a parameter and is kept from consumers all the same.
    """
    if parameters is None:
        return without(spec, reserved)
    chosen = sorted((each for each in parameters if not each.secret), key=_exactness)
    values: Values = {}
    for parameter in chosen:
        if parameter.name and parameter.name != parameter.path:  # its own name is the only way to it
            values = without(values, [parse_path(parameter.path)])
        for stands, path in standing(parameter, spec):
            values = merge(values, nest(path, get(spec, stands)))
    secret = [parse_path(each.path) for each in parameters if each.secret]
    return without(values, [*reserved, *secret])


def _exactness(parameter: Parameter) -> tuple[bool, int]:
    """What names one value more exactly comes later, and wins."""
    pattern = parse_pattern(parameter.path)
    return not is_glob(pattern), len(pattern)


@dataclass(frozen=True)
class SecretReference:
    """A value that the consumer keeps in a Secret, and where it goes."""

    path: Path
    name: str
    key: str
    field: str


def secret_references(parameters: list[Parameter] | None, spec: Values) -> list[SecretReference]:
    found = []
    for parameter in parameters or ():
        for stands, path in standing(parameter, spec) if parameter.secret else ():
            given = get(spec, stands)
            if isinstance(given, dict):
                field = format_path(("spec", *stands))
                found.append(SecretReference(path, str(given.get("name")), str(given.get("key")), field))
    return found


def standing(parameter: Parameter, spec: Values) -> Iterator[tuple[Path, Path]]:
    """Where a parameter stands in a spec, and where that goes in the chart's values."""
    pattern = parse_pattern(parameter.path)
    if is_glob(pattern):
        yield from ((path, path) for path in matches(pattern, spec))
        return
    stands, path = parse_path(parameter.name or parameter.path), parse_path(parameter.path)
    if has(spec, stands):
        yield stands, path


def without(values: Values, paths: Iterable[Path]) -> Values:
    """A copy that lacks these paths."""
    for path in paths:
        if has(values, path):
            first, *rest = path
            kept = {key: value for key, value in values.items() if key != first}
            values = kept | ({first: without(values[first], [tuple(rest)])} if rest else {})
    return values


def release_values(
    offering: Offering, spec: Values, words: Mapping[str, str], secrets: Mapping[SecretReference, str] | None = None
) -> Values:
    """All values Helm is given: the consumer's, then the plan's, then the provider's fixed ones, which win."""
    plan = plan_of(offering, spec)
    words = {**words, "plan.name": plan.name if plan else ""}
    reserved = [parse_path(each) for each in offering.status.api.reserved]
    chosen = without(spec, [("plan",)]) if plan else spec
    values = consumer_values(offering.spec.parameters, chosen, reserved)
    for reference, secret in (secrets or {}).items():
        values = merge(values, nest(reference.path, secret))
    if plan:
        values = merge(values, substitute(plan.values, words, f"spec.plans[{plan.name}].values"))
    return merge(values, substitute(offering.spec.values, words, "spec.values"))
