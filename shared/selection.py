"""Which values of a chart consumers may set, under which names, of which types: the spec of the consumer API. Pure.

Deny by default: what no parameter names can't be set, neither through a parent (a map is reduced to what may be set in
it), nor through the globals of a subchart, nor through a value that the chart copies elsewhere (`import-values`).
"""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from shared.charts import Chart
from shared.errors import Refused
from shared.exposure import Choice, exposed, immutable_rules
from shared.known import Known
from shared.offering import Offering, Parameter, Values
from shared.structural import Schema
from shared.values import (
    Path,
    format_path,
    get,
    is_glob,
    leaves,
    matches,
    merge,
    nest,
    parse_path,
    parse_pattern,
    without,
)


def choices(offering: Offering, known: Known) -> list[Choice]:
    """Parents before what is below them. Raises Refused for a parameter that means nothing."""
    found: list[Choice] = []
    for index, parameter in enumerate(offering.spec.parameters or ()):
        found += _choices(parameter, f"spec.parameters[{index}]", known)
    named = {choice.path for choice in found if not is_glob(parse_pattern(choice.parameter.path))}
    kept = [each for each in found if each.path not in named or not is_glob(parse_pattern(each.parameter.path))]
    return sorted(kept, key=lambda choice: len(choice.path))


def _choices(parameter: Parameter, field: str, known: Known) -> Iterator[Choice]:
    pattern = parse_pattern(parameter.path, f"{field}.path")
    if not is_glob(pattern):
        path = parse_path(parameter.path, f"{field}.path")
        if not known.declares(path) and parameter.type is None and not parameter.secret:
            what = f"the chart has no value {parameter.path}{hint(path, known.values)}"
            raise Refused("UnknownParameter", f"{field}.path: {what}")
        yield Choice(parameter, path, parse_path(parameter.name or parameter.path, f"{field}.name"), field)
        return
    for one in ("name", "type", "enum", "minimum", "maximum", "pattern", "secret", "column"):
        if getattr(parameter, one) not in (None, False):
            raise Refused("InvalidParameter", f"{field}.{one}: {parameter.path} means several values; name one of them")
    if "default" in parameter.model_fields_set:
        raise Refused("InvalidParameter", f"{field}.default: {parameter.path} means several values; name one of them")
    paths = list(matches(pattern, known.values))
    if not paths:
        raise Refused("UnknownParameter", f"{field}.path: the chart has no value that {parameter.path} means")
    yield from (Choice(parameter, path, path, field) for path in paths)


def hint(path: Path, values: Values) -> str:
    declared = [format_path(leaf) for leaf, _ in leaves(values)]
    close = difflib.get_close_matches(format_path(path), declared, n=1)
    return (
        f"; did you mean {close[0]}?" if close else "; give its type if it is one the chart reads without declaring it"
    )


def reserved(chart: Chart, chosen: list[Choice]) -> list[Path]:
    """What lies below a parameter and reaches further than it seems. Raises Refused when it was asked for itself."""
    paths = {choice.path for choice in chosen}
    found = []
    for part in chart.parts:
        at = (*part.at, "global")
        if part.at and _below_one_of(at, paths) and not _at_or_below(at, paths):
            found.append(at)
        for each in part.imports:
            for child, parent in _links(each.child, each.parent, chart.values):
                if parent in paths or _below_one_of(parent, paths):
                    continue
                for choice in chosen:
                    if choice.path[: len(child)] == child:
                        what = f"the chart copies {format_path(child)} to {format_path(parent)} (import-values)"
                        fix = f"make {format_path(parent)} a parameter as well"
                        raise Refused("UnsafeParameter", f"{choice.field}.path: {what}; {fix}")
                if _below_one_of(child, paths):
                    found.append(child)
    return sorted(set(found))


def _links(child: Path, parent: Path, values: Values) -> Iterator[tuple[Path, Path]]:
    """A whole map that is copied to the top is copied key by key."""
    below = get(values, child)
    if parent:
        yield child, parent
    elif isinstance(below, dict):
        yield from (((*child, key), (key,)) for key in below)


def _below_one_of(path: Path, paths: set[Path]) -> bool:
    return any(path[:cut] in paths for cut in range(1, len(path)))


def _at_or_below(path: Path, paths: set[Path]) -> bool:
    return any(each[: len(path)] == path for each in paths)


@dataclass(frozen=True)
class Selection:
    """The spec of the consumer API."""

    schema: Schema
    reserved: list[Path]
    """What lies below a parameter and is kept from consumers all the same."""
    rules: list[Schema]
    """CEL rules of the whole object."""
    places: tuple[tuple[Path, Path], ...] | None
    """Where each parameter stands in the spec, and where its value goes; None when that is the same for all."""
    defaults: Values
    """What applies where the consumer chooses nothing, as the consumer's spec would say it."""


def select(offering: Offering, chart: Chart) -> Selection:
    """Raises Refused with the parameter and the fix."""
    known = Known.of(chart)
    pinned = [path for path, value in leaves(offering.spec.values) if value != {}]
    chosen = choices(offering, known)
    kept = reserved(chart, chosen)
    if offering.spec.parameters is None:
        spec, defaults = known.schema_of((), (), pinned), known.values
        spec.setdefault("properties", {})
    else:
        defaults = {}
        spec = {"type": "object", "properties": {}}
        placed: dict[Path, Path] = {}
        for choice in chosen:
            check_place(choice, placed)
            take_out(spec, choice, placed)
            schema = exposed(choice, known, kept, pinned)
            place(spec, choice, schema)
            placed[choice.name] = choice.path
            if not choice.parameter.secret:
                chosen_by_chart = without(nest(choice.path, get(known.values, choice.path)), kept)
                defaults = merge(defaults, nest(choice.name, get(chosen_by_chart, choice.path)))
    spec.pop("description", None)
    if offering.spec.plans:
        if "plan" in spec["properties"]:
            raise Refused("InvalidParameter", "spec.parameters: a parameter can't be called plan where there are plans")
        spec["properties"]["plan"] = plan_schema(offering)
    with_defaults(spec)
    places = None if offering.spec.parameters is None else tuple((each.name, each.path) for each in chosen)
    return Selection(spec, kept, immutable_rules(chosen), places, defaults)


def check_place(choice: Choice, placed: dict[Path, Path]) -> None:
    """One below another may be told more exactly where it stands; any other overlap of names is a mistake."""
    shown, field = format_path(choice.name), choice.field
    if choice.name in placed:
        raise Refused("DuplicateParameter", f"{field}: {shown} is there twice; give it a name")
    if choice.path in placed.values():
        raise Refused("DuplicateParameter", f"{field}: {choice.parameter.path} has another name already; leave out one")
    for name, path in placed.items():
        around = choice.name[: len(name)] == name and choice.path != (*path, *choice.name[len(name) :])
        if around or name[: len(choice.name)] == choice.name:
            outer, inner = sorted((name, choice.name), key=len)
            inside = f"{format_path(inner)} lies inside {format_path(outer)}"
            raise Refused("DuplicateParameter", f"{field}: {inside}, another one; give it another name")


def take_out(spec: Schema, choice: Choice, placed: dict[Path, Path]) -> None:
    """What has a name of its own is not also to be had through a map around it."""
    for name, path in placed.items():
        if choice.path[: len(path)] != path or choice.path == path:
            continue
        *parents, last = (*name, *choice.path[len(path) :])
        where = spec
        for step in parents:
            where = where.get("properties", {}).get(step, {})
        where.get("properties", {}).pop(last, None)


def place(spec: Schema, choice: Choice, schema: Schema) -> None:
    """Put a parameter where its name says, with its parents."""
    *parents, last = choice.name
    where = spec
    for step in parents:
        if choice.parameter.required:
            where["required"] = sorted({*where.get("required", []), step})
        where = where["properties"].setdefault(step, {"type": "object"})
        if where.get("type") != "object":
            inside = f"{format_path(choice.name)} lies inside another one, which is no map"
            raise Refused("DuplicateParameter", f"{choice.field}: {inside}; give it another name")
        where.setdefault("properties", {})
    where["properties"][last] = schema
    if choice.parameter.required:
        where["required"] = sorted({*where.get("required", []), last})


def plan_schema(offering: Offering) -> Schema:
    plans = offering.spec.plans
    told = "\n".join(f"{plan.name}: {plan.description}" for plan in plans if plan.description)
    default = next((plan.name for plan in plans if plan.default), plans[0].name)
    enum = [plan.name for plan in plans]
    return {"type": "string", "enum": enum, "default": default, "description": told or "The plan of this instance"}


def with_defaults(schema: Schema) -> bool:
    """A default below a map that was left out applies only when the map has a default, too: an empty one."""
    inside = [with_defaults(each) for each in schema.get("properties", {}).values()]
    if any(inside) and not schema.get("required"):
        schema["default"] = {}
    return "default" in schema
