"""Orders that nobody placed: what a chart is rendered with before there are consumers. Pure."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from shared.errors import Refused
from shared.instance import Instance
from shared.offering import Metadata, Offering, Parameter, Plan, Values
from shared.releases import Release, release_for
from shared.values import get, has, merge, nest, parse_path

SAMPLES = (
    Metadata(name="sample-one", namespace="team-one", uid="00000000-0000-4000-8000-000000000001"),
    Metadata(name="other-two", namespace="squad-two", uid="ffffffff-ffff-4fff-bfff-fffffffffff2"),
)
"""Two instances that have nothing in common."""

TEXTS = {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}


def plans_of(offering: Offering) -> list[Plan | None]:
    """The default one first."""
    return [*sorted(offering.spec.plans, key=lambda plan: not plan.default)] or [None]


@dataclass(frozen=True)
class Order:
    """What one sample consumer asks for."""

    spec: Values
    plan: Plan | None = None
    sample: int = 0
    secrets: Values = field(default_factory=dict)
    """At their places in the values: what no consumer gives in the spec."""


def release(offering: Offering, digest: str, order: Order) -> Release:
    """What Helm would be asked for."""
    chart = offering.status.chart.model_copy(update={"digest": digest})
    status = offering.status.model_copy(update={"chart": chart})
    spec = order.spec | ({"plan": order.plan.name} if order.plan else {})
    instance = Instance(metadata=SAMPLES[order.sample], spec=spec)
    made = release_for(offering.model_copy(update={"status": status}), instance)
    return replace(made, values=merge(order.secrets, made.values))


def generic(told: Any, made: Release) -> Any:
    """The same with $(release.name) for a sample's own names."""
    if isinstance(told, str):
        return told.replace(made.namespace, "$(release.namespace)").replace(made.name, "$(release.name)")
    if isinstance(told, dict):
        return {generic(key, made): generic(value, made) for key, value in told.items()}
    return [generic(each, made) for each in told] if isinstance(told, list) else told


def defaulted(offering: Offering) -> Values:
    """What the API server fills in by itself."""
    return _spec(each for each in offering.spec.parameters or () if "default" in each.model_fields_set)


def _spec(parameters: Any, value: Any = None) -> Values:
    spec: Values = {}
    for each in parameters:
        try:
            path = parse_path(each.name or each.path)
        except Refused:
            continue  # publish_api says so
        spec = merge(spec, nest(path, each.default if value is None else value(each)))
    return spec


def demanded(offering: Offering) -> list[Parameter]:
    """What every consumer must give: the chart may not render without."""
    parameters = offering.spec.parameters or ()
    return [each for each in parameters if (each.required or each.secret) and "default" not in each.model_fields_set]


def with_demanded(offering: Offering, chart_values: Values) -> tuple[Values, Values]:
    """The spec with a value for each that is demanded; and the secrets, which don't stand in a spec."""
    wanted = demanded(offering)

    def value(each: Parameter) -> Any:
        return sample_of(each, chart_values)

    spec = merge(defaulted(offering), _spec([each for each in wanted if not each.secret], value))
    secrets: Values = {}
    for each in wanted:
        if each.secret:
            secrets = merge(secrets, nest(parse_path(each.path), sample_of(each, chart_values)))
    return spec, secrets


def sample_of(parameter: Parameter, chart_values: Values) -> Any:
    """A value of the right type, as far as one can tell."""
    if parameter.enum:
        return parameter.enum[0]
    path = parse_path(parameter.path)
    declared = get(chart_values, path) if has(chart_values, path) else None
    kind = parameter.type or {bool: "boolean", int: "integer", float: "number"}.get(type(declared))
    if kind in ("integer", "number"):
        return whole(parameter.minimum if parameter.minimum is not None else parameter.maximum or 1)
    if declared not in (None, "", [], {}) and not parameter.type:
        return declared
    return TEXTS.get(kind or "", "sample")


def whole(number: float) -> int | float:
    return int(number) if float(number).is_integer() else number


def fingerprint(*parts: Any) -> str:
    """Same parts, same text."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
