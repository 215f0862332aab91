"""The consumer API's CRD: which parameters, of which types, under which names. Pure: Offering and chart in, CRD out."""

import json
from dataclasses import dataclass
from typing import Any

from shared import ownership
from shared.charts import Chart
from shared.errors import Refused
from shared.offering import Offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from shared.sample import sample
from shared.selection import Selection, select
from shared.statuses import STATUS
from shared.structural import Schema
from shared.values import Path, parse_path

SIZE_LIMIT = 1_200_000
"""Bytes of a CRD as JSON; etcd takes 1.5 MB."""
DESCRIPTIONS = (None, 400, 120, 0)
"""Longest description, in characters; ever shorter until the CRD is small enough."""


@dataclass(frozen=True)
class ConsumerApi:
    crd: dict[str, Any]
    reserved: list[Path]
    """What lies below a parameter and is kept from consumers all the same."""
    places: tuple[tuple[Path, Path], ...] | None
    """Where each parameter stands in the spec, and where its value goes; None when that is the same for all."""
    sample: str
    """A manifest to start from."""


def api_for(offering: Offering, chart: Chart) -> ConsumerApi:
    """Raises Refused when no API can be made of the Offering as it stands."""
    selection = select(offering, chart)
    for longest in DESCRIPTIONS:
        crd = crd_for(offering, selection, longest)
        size = len(json.dumps(crd))
        if size <= SIZE_LIMIT:
            manifest = sample(offering, selection.schema, selection.defaults)
            return ConsumerApi(crd, selection.reserved, selection.places, manifest)
    what = f"the API would have {size} bytes, {SIZE_LIMIT} are the limit"
    raise Refused("SchemaTooLarge", f"spec.parameters: {what}; name the values that consumers need")


def shortened(schema: Schema, longest: int) -> Schema:
    short = {key: value for key, value in schema.items() if key != "description"}
    text = schema.get("description", "")
    if longest:
        short |= {"description": text if len(text) <= longest else f"{text[:longest]}..."} if text else {}
    if "properties" in schema:
        short["properties"] = {name: shortened(each, longest) for name, each in schema["properties"].items()}
    if "items" in schema:
        short["items"] = shortened(schema["items"], longest)
    return short


def crd_for(offering: Offering, selection: Selection, longest: int | None = None) -> dict[str, Any]:
    spec = selection.schema if longest is None else shortened(selection.schema, longest)
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
            "spec": {"description": f"What you choose of this {api.kind}.", **spec},
            "status": STATUS,
        },
    }
    if schema["properties"]["spec"].get("required"):
        schema["required"] = ["spec"]
    if selection.rules:
        schema["x-kubernetes-validations"] = selection.rules
    return {
        "apiVersion": CUSTOM_RESOURCE_DEFINITIONS.api_version,
        "kind": CUSTOM_RESOURCE_DEFINITIONS.kind,
        "metadata": {
            "name": offering.crd,
            "labels": {ownership.MANAGED_BY: ownership.MANAGER, ownership.OFFERING: offering.metadata.name},
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
                    "additionalPrinterColumns": columns(offering, spec),
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def columns(offering: Offering, spec: Schema) -> list[dict[str, Any]]:
    plan = [{"name": "Plan", "type": "string", "jsonPath": ".spec.plan"}] if offering.spec.plans else []
    chosen = [
        column(parse_path(parameter.name or parameter.path), spec)
        for parameter in offering.spec.parameters or ()
        if parameter.column
    ]
    ready = '.status.conditions[?(@.type=="Ready")]'
    return [
        *plan,
        *chosen,
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


def column(path: Path, spec: Schema) -> dict[str, Any]:
    found = spec
    for step in path:
        found = found["properties"][step]
    kind = found.get("type")
    where = "".join(f".{step}" if step.isalnum() else f"['{step}']" for step in path)
    name = path[-1][:1].upper() + path[-1][1:]
    return {"name": name, "type": kind if kind in COLUMN_TYPES else "string", "jsonPath": f".spec{where}"}


COLUMN_TYPES = ("string", "integer", "number", "boolean")
