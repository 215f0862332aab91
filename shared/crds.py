"""Our own CRDs, generated from the models that parse their objects.

`python -m shared.crds` writes knative/base/crds/; CI runs it and compares.
"""

from pathlib import Path
from typing import Any

import yaml

from shared.access import ConsumerSpec, ConsumerStatus, ProviderSpec, ProviderStatus
from shared.offering import OfferingSpec, OfferingStatus
from shared.resources import CONSUMERS, OFFERINGS, PROVIDERS, Resource
from shared.statuses import conditions_schema

Schema = dict[str, Any]

DROPPED = {"title", "default"}
"""Defaults stay in the models: an object says only what its author said."""


def structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """A pydantic JSON Schema as a Kubernetes structural schema: no references, no null, open maps marked as such."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return structural({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", *DROPPED)}
        if {option.get("type") for option in options} == {"string", "integer"}:
            return rest | {"x-kubernetes-int-or-string": True}
        (option,) = options
        return structural(option, definitions) | rest
    result = {key: value for key, value in schema.items() if key not in DROPPED}
    if "properties" in schema:
        result["properties"] = {
            name: structural(under, definitions) for name, under in sorted(schema["properties"].items())
        }
        result.pop("additionalProperties", None)
    elif schema.get("additionalProperties") is True:
        del result["additionalProperties"]
        result["x-kubernetes-preserve-unknown-fields"] = True
    elif "additionalProperties" in schema:
        result["additionalProperties"] = structural(schema["additionalProperties"], definitions)
    if "items" in schema:
        result["items"] = structural(schema["items"], definitions)
    if "type" not in result:
        result["x-kubernetes-preserve-unknown-fields"] = True
    return result


def schema_of(model: Any) -> Schema:
    schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.get("$defs", {})) | {"$defs": None}


def rule(expression: str, message: str) -> dict[str, str]:
    return {"rule": expression, "message": message}


def offering_crd() -> dict[str, Any]:
    spec, status = schema_of(OfferingSpec), schema_of(OfferingStatus)
    del spec["$defs"], status["$defs"]
    status["properties"]["conditions"] = conditions_schema()
    spec["properties"]["api"]["x-kubernetes-validations"] = [
        rule(
            f"self.{field} == oldSelf.{field}",
            f"spec.api.{field} can't be changed: instances live under it; make another Offering",
        )
        for field in ("group", "kind")
    ] + [
        rule(
            f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})",
            f"spec.api.{field} can't be changed: instances live under it; make another Offering",
        )
        for field in ("plural",)
    ]
    chart = spec["properties"]["chart"]
    chart["x-kubernetes-validations"] = [
        rule(
            "[has(self.url), has(self.repository), has(self.archive)].filter(x, x).size() == 1",
            "spec.chart: give exactly one of url, repository (with name and version), or archive",
        ),
        rule("!has(self.repository) || has(self.name)", "spec.chart.name: say which chart of the repository"),
        rule(
            "!has(self.verify) || has(self.verify.keyring) || has(self.verify.cosign)",
            "spec.chart.verify: names no key; give keyring, or cosign, or both",
        ),
        rule(
            "!has(self.verify) || !has(self.verify.cosign) || has(self.repository)"
            " || (has(self.url) && self.url.startsWith('oci://'))",
            "spec.chart.verify.cosign: signs OCI artifacts; give an oci:// URL, or use keyring for other sources",
        ),
    ]
    spec["properties"]["exports"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["as"]}
    ready = '.status.conditions[?(@.type=="Ready")]'
    columns = [
        ("Chart", ".status.chart.name"),
        ("Version", ".status.chart.version"),
        ("API", ".status.api.crd"),
        ("Instances", ".status.instances.total"),
        ("Ready", f"{ready}.status"),
        ("Reason", f"{ready}.reason"),
    ]
    shown = [
        {"name": name, "type": "integer" if name == "Instances" else "string", "jsonPath": path}
        for name, path in columns
    ]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    name_fits = rule("size(self.metadata.name) <= 63", "metadata.name: at most 63 characters, it stands in labels")
    schema = {
        "type": "object",
        "x-kubernetes-validations": [name_fits],
        "description": "A Helm chart on offer: what consumers may order and set, and under which policies it runs.",
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
    }
    return crd(OFFERINGS, schema, [*shown, age])


LIFETIME = (
    "!has(self.lifetime) || (size(self.lifetime) > 0 && duration(self.lifetime) >= duration('10m')"
    " && duration(self.lifetime) <= duration('8760h'))"
)
"""The API server issues no token for less than ten minutes."""


def grantee_crd(
    resource: Resource, spec: Schema, status: Schema, what: tuple[str, str], description: str
) -> dict[str, Any]:
    """Of a Consumer or a Provider; `what` is the column that only one of them has."""
    del spec["$defs"], status["$defs"]
    properties = spec["properties"]
    status["properties"]["conditions"] = conditions_schema()
    properties["kubeconfig"]["x-kubernetes-validations"] = [
        rule(LIFETIME, "spec.kubeconfig.lifetime: give from 10m to 8760h, as hours, minutes and seconds: 1h30m")
    ]
    properties["subjects"]["items"]["x-kubernetes-validations"] = [
        rule(
            "has(self.__namespace__) == (self.kind == 'ServiceAccount')",
            "spec.subjects.namespace: a ServiceAccount has one, users and groups have none",
        )
    ]
    name_fits = rule(
        "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
        "metadata.name: at most 63 characters and no dots, it stands in labels",
    )
    schema = {
        "type": "object",
        "x-kubernetes-validations": [name_fits],
        "description": description,
        "required": ["spec"],
        "properties": {"spec": spec, "status": status},
    }
    ready = '.status.conditions[?(@.type=="Ready")]'
    columns = [
        what,
        ("Ready", f"{ready}.status"),
        ("Reason", f"{ready}.reason"),
        ("Expires", ".status.kubeconfig.expires"),
    ]
    shown = [{"name": name, "type": "string", "jsonPath": path} for name, path in columns]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    return crd(resource, schema, [*shown, age])


def consumer_crd() -> dict[str, Any]:
    spec, column = schema_of(ConsumerSpec), ("Namespaces", ".status.namespaces")
    spec["properties"]["namespaces"]["items"]["x-kubernetes-validations"] = [
        rule(
            "!self.startsWith('kube-') && !self.startsWith('chandlery')",
            "spec.namespaces: kube-... and chandlery... are not for consumers; choose another name",
        )
    ]
    description = "Somebody who orders instances: in which namespaces, of which Offerings."
    return grantee_crd(CONSUMERS, spec, schema_of(ConsumerStatus), column, description)


def provider_crd() -> dict[str, Any]:
    spec, column = schema_of(ProviderSpec), ("Groups", ".spec.apiGroups")
    spec["properties"]["apiGroups"]["items"]["x-kubernetes-validations"] = [
        rule(
            "self != 'chandlery.dev' && !self.endsWith('.chandlery.dev') && !self.endsWith('k8s.io')",
            "spec.apiGroups: chandlery.dev and k8s.io are not for providers; choose a domain of their own",
        )
    ]
    description = "Somebody who offers charts under API groups of their own, and sees what came of them."
    return grantee_crd(PROVIDERS, spec, schema_of(ProviderStatus), column, description)


def crd(resource: Resource, schema: Schema, columns: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{resource.group}",
            "labels": {"app.kubernetes.io/part-of": "chandlery"},
        },
        "spec": {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "categories": ["chandlery"],
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


class _Plain(yaml.SafeDumper):
    """YAML without anchors: a CRD is read by people and by tools that know none."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library calls it so
        return True


def to_yaml(*documents: dict[str, Any]) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120)


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in {"offerings": offering_crd(), "consumers": consumer_crd(), "providers": provider_crd()}.items():
        (folder / f"{name}.yaml").write_text("# Generated: python -m shared.crds\n" + to_yaml(made))


if __name__ == "__main__":
    write(Path(__file__).parent.parent / "knative" / "base" / "crds")
