"""The consumer API's CRD: which parameters, of which types, under which names. Pure: Offering and chart in, CRD out."""

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any

from shared.errors import Refused
from shared.offering import Offering, Parameter, Values
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from shared.values import Path, format_path, get, has, leaves, parse_path

Schema = dict[str, Any]

OFFERING_LABEL = "chandlery.dev/offering"
ANYTHING: Schema = {"x-kubernetes-preserve-unknown-fields": True}


def crd_for(offering: Offering, chart_values: Values) -> dict[str, Any]:
    """Raises Refused when no API can be made of the Offering as it stands."""
    api = offering.spec.api
    names = {
        "kind": api.kind,
        "listKind": f"{api.kind}List",
        "plural": offering.plural,
        "singular": api.kind.lower(),
        "shortNames": api.short_names,
        "categories": ["chandlery"],
    }
    description = api.description or f"{api.kind} as offered by {offering.metadata.name}."
    schema: Schema = {
        "type": "object",
        "description": description,
        "properties": {
            "spec": {"description": f"What you choose of this {api.kind}.", **spec_schema(offering, chart_values)},
            "status": STATUS,
        },
    }
    if schema["properties"]["spec"].get("required"):
        schema["required"] = ["spec"]
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITIONS.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITIONS.kind,
        "metadata": {
            "name": offering.crd,
            "labels": {"app.kubernetes.io/managed-by": "chandlery", OFFERING_LABEL: offering.metadata.name},
        },
        "spec": {
            "group": api.group,
            "scope": "Namespaced",
            "names": {key: value for key, value in names.items() if value},
            "versions": [
                {
                    "name": api.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns(offering),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def spec_schema(offering: Offering, chart_values: Values) -> Schema:
    parameters = offering.spec.parameters
    if parameters is None:
        spec = map_schema(chart_values)
    else:
        spec = {"type": "object", "properties": {}}
        for index, parameter in enumerate(parameters):
            place(spec, parameter, chart_values, f"spec.parameters[{index}]")
    if offering.spec.plans:
        if "plan" in spec["properties"]:
            raise Refused("InvalidParameter", "spec.parameters: a parameter can't be called plan where there are plans")
        spec["properties"]["plan"] = plan_schema(offering)
    return spec


def place(spec: Schema, parameter: Parameter, chart_values: Values, field: str) -> None:
    """Put one parameter's schema where its name says, with its parents."""
    if parameter.secret:
        raise Refused("NotSupported", f"{field}.secret: parameters from Secrets are not supported yet; leave it out")
    path = parse_path(parameter.path, f"{field}.path")
    if not has(chart_values, path) and parameter.type is None:
        raise Refused(
            "UnknownParameter", f"{field}.path: the chart has no value {parameter.path}{hint(path, chart_values)}"
        )
    *parents, last = parse_path(parameter.name or parameter.path, f"{field}.name")
    where = spec
    for step in parents:
        if parameter.required:
            where["required"] = sorted({*where.get("required", []), step})
        where = where["properties"].setdefault(step, {"type": "object", "properties": {}})
        if "properties" not in where:
            raise Refused("DuplicateParameter", f"{field}: {parameter.name or parameter.path} lies inside another one")
    if last in where["properties"]:
        raise Refused(
            "DuplicateParameter", f"{field}: {parameter.name or parameter.path} is there twice; give it a name"
        )
    where["properties"][last] = parameter_schema(parameter, get(chart_values, path), field)
    if parameter.required:
        where["required"] = sorted({*where.get("required", []), last})


def hint(path: Path, chart_values: Values) -> str:
    known = [format_path(leaf) for leaf, _ in leaves(chart_values)]
    close = difflib.get_close_matches(format_path(path), known, n=1)
    return (
        f"; did you mean {close[0]}?" if close else "; give its type if it is one the chart reads without declaring it"
    )


def parameter_schema(parameter: Parameter, chart_value: Any, field: str) -> Schema:
    schema = TYPES[parameter.type]() if parameter.type else value_schema(chart_value)
    stated = "default" in parameter.model_fields_set
    schema["description"] = described(parameter.description, parameter.default if stated else chart_value)
    bounds: Schema = {"minimum": parameter.minimum, "maximum": parameter.maximum, "pattern": parameter.pattern}
    schema |= {key: value for key, value in bounds.items() if value is not None}
    if parameter.enum is not None:
        schema["enum"] = parameter.enum
    if stated:
        check_default(parameter, field)
        schema["default"] = parameter.default
    if parameter.immutable:
        schema["x-kubernetes-validations"] = [{"rule": "self == oldSelf", "message": "can't be changed once it is set"}]
    return {key: value for key, value in schema.items() if value != ""}


def check_default(parameter: Parameter, field: str) -> None:
    if parameter.enum is not None and parameter.default not in parameter.enum:
        raise Refused("InvalidParameter", f"{field}.default: {parameter.default!r} is not in its enum")


def described(description: str | None, chart_value: Any) -> str:
    """The chart's default is told, not set: a better one in a later chart must reach who never chose."""
    default = "" if chart_value in (None, "", [], {}) else f"Default: {json.dumps(chart_value)}"
    return "\n".join(part for part in (description, default if len(default) < 500 else "") if part)


def plan_schema(offering: Offering) -> Schema:
    plans = offering.spec.plans
    told = "\n".join(f"{plan.name}: {plan.description}" for plan in plans if plan.description)
    default = next((plan.name for plan in plans if plan.default), plans[0].name)
    enum = [plan.name for plan in plans]
    return {"type": "string", "enum": enum, "default": default, "description": told or "The plan of this instance"}


def map_schema(values: Mapping[str, Any]) -> Schema:
    properties = {}
    for key, value in values.items():
        properties[key] = value_schema(value)
        description = "" if isinstance(value, Mapping) else described(None, value)
        if description:
            properties[key]["description"] = description
    return {"type": "object", "properties": properties}


def value_schema(value: Any) -> Schema:
    """What a default tells of its type. Null tells nothing; an empty map or list tells nothing of its contents."""
    match value:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            return array_schema(value)
        case dict() if value:
            return map_schema(value)
        case dict():
            return {"type": "object", **ANYTHING}
        case _:
            return dict(ANYTHING)


def array_schema(values: list[Any]) -> Schema:
    kinds = {type(item) for item in values}
    plain = kinds <= {str} or kinds <= {int} or kinds <= {bool}
    return {"type": "array", "items": value_schema(values[0]) if values and plain else dict(ANYTHING)}


TYPES: dict[str, Callable[[], Schema]] = {
    "string": lambda: {"type": "string"},
    "integer": lambda: {"type": "integer"},
    "number": lambda: {"type": "number"},
    "boolean": lambda: {"type": "boolean"},
    "array": lambda: {"type": "array", "items": dict(ANYTHING)},
    "object": lambda: {"type": "object", **ANYTHING},
}


def columns(offering: Offering) -> list[dict[str, Any]]:
    plan = [{"name": "Plan", "type": "string", "jsonPath": ".spec.plan"}] if offering.spec.plans else []
    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        *plan,
        {"name": "Ready", "type": "string", "jsonPath": f"{ready}.status"},
        {"name": "Reason", "type": "string", "jsonPath": f"{ready}.reason"},
        {
            "name": "Namespace",
            "type": "string",
            "jsonPath": ".status.release.namespace",
            "description": "The release's",
        },
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def conditions_schema() -> Schema:
    text: Schema = {"type": "string"}
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason"],
            "properties": {
                "type": text,
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": text,
                "message": text,
                "observedGeneration": {"type": "integer", "format": "int64"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
            },
        },
    }


STATUS: Schema = {
    "type": "object",
    "description": "What became of the request.",
    "properties": {
        "observedGeneration": {"type": "integer", "format": "int64"},
        "conditions": conditions_schema(),
        "release": {
            "type": "object",
            "properties": {
                **{
                    name: {"type": "string"}
                    for name in (
                        "namespace",
                        "name",
                        "chart",
                        "version",
                        "digest",
                        "inputs",
                        "failedInputs",
                        "retryAt",
                        "deployedAt",
                    )
                },
                "revision": {"type": "integer"},
                "offeringGeneration": {"type": "integer", "format": "int64"},
                "failures": {"type": "integer"},
                "resources": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
            },
        },
        "endpoints": {
            "type": "array",
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "properties": {"name": {"type": "string"}, "url": {"type": "string"}}},
        },
        "notes": {"type": "string"},
        "readyRevision": {"type": "integer"},
        "usage": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
