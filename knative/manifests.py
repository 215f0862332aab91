"""The Triggers and Services that follow from the table of events.

`python -m knative.manifests` writes knative/base/triggers.yaml and services.yaml, and what is generated in
knative/components; CI runs it and compares.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from events.catalog import CATALOG, DEAD_LETTERS, PAGES, WEBHOOKS
from knative import pods
from knative.pods import LABELS, component, kebab, labels, scales
from shared.crds import to_yaml
from shared.resources import SYSTEM_NAMESPACE

HEADER = "# Generated: python -m knative.manifests\n"


def functions() -> list[str]:
    """All of them: those that events reach, and the others."""
    return sorted({*WEBHOOKS, *PAGES, *DEAD_LETTERS, *(function for function, _ in subscriptions())})


def subscriptions() -> dict[tuple[str, str], list[str]]:
    """Event types by (function, broker): one Trigger each, since every Trigger of a Broker is sent every event."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in CATALOG:
        for consumer in entry.consumers:
            found[consumer, entry.broker].append(entry.event.type)
    return dict(sorted(found.items()))


def trigger(function: str, broker: str, types: list[str]) -> dict[str, Any]:
    exact = [{"exact": {"type": each}} for each in sorted(types)]
    return {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {
            "name": f"{kebab(function)}-{broker}",
            "namespace": SYSTEM_NAMESPACE,
            "labels": {**LABELS, "eventing.knative.dev/broker": broker},
        },
        "spec": {
            "broker": broker,
            "filters": exact if len(exact) == 1 else [{"any": exact}],
            "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": kebab(function)}},
        },
    }


def service(function: str) -> dict[str, Any]:
    name = kebab(function)
    secure = [{"name": "https", "port": 443, "targetPort": 8443}] if function in WEBHOOKS else []
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels(name, component(function))},
        "spec": {
            "selector": {**LABELS, "app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}, *secure],
        },
    }


def unserved(function: str) -> dict[str, Any]:
    """Knative Serving makes a Service of the same name by itself."""
    metadata = {"name": kebab(function), "namespace": SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "$patch": "delete"}


def served(function: str, broker: str) -> dict[str, Any]:
    """The same Trigger, of a Knative Service."""
    found = trigger(function, broker, [])
    ref = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": kebab(function)}
    metadata = {part: found["metadata"][part] for part in ("name", "namespace")}
    kind = {part: found[part] for part in ("apiVersion", "kind")}
    return {**kind, "metadata": metadata, "spec": {"subscriber": {"ref": ref}}}


def generated() -> dict[str, list[dict[str, Any]]]:
    """Documents by file."""
    found, all_of_them = subscriptions(), functions()
    scaling = [each for each in all_of_them if scales(each)]
    return {
        "base/triggers.yaml": [trigger(function, broker, types) for (function, broker), types in found.items()],
        "base/services.yaml": [service(each) for each in all_of_them],
        "components/deployments/functions.yaml": [pods.function_deployment(each) for each in scaling],
        "components/serving/functions.yaml": [pods.knative_service(each) for each in scaling],
        "components/serving/patches.yaml": [
            *[unserved(each) for each in scaling],
            *[served(function, broker) for function, broker in found if scales(function)],
        ],
        "components/pods/always.yaml": pods.always(all_of_them),
        "components/pods/sources.yaml": pods.sources(),
    }


def write(folder: Path) -> None:
    for name, documents in generated().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + to_yaml(*documents))


if __name__ == "__main__":
    write(Path(__file__).parent)
