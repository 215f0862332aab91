"""The Triggers and Services that follow from the table of events.

`python -m knative.manifests` writes knative/base/triggers.yaml and services.yaml; CI runs it and compares.
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from events.catalog import CATALOG, PAGES, WEBHOOKS
from shared.crds import to_yaml
from shared.resources import SYSTEM_NAMESPACE

HEADER = "# Generated: python -m knative.manifests\n"
LABELS = {"app.kubernetes.io/part-of": "chandlery"}


def kebab(function: str) -> str:
    return function.replace("_", "-")


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
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": LABELS},
        "spec": {
            "selector": {**LABELS, "app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}, *secure],
        },
    }


def write(folder: Path) -> None:
    found = subscriptions()
    triggers = [trigger(function, broker, types) for (function, broker), types in found.items()]
    services = [service(function) for function in sorted({*WEBHOOKS, *PAGES, *(function for function, _ in found)})]
    (folder / "triggers.yaml").write_text(HEADER + to_yaml(*triggers))
    (folder / "services.yaml").write_text(HEADER + to_yaml(*services))


if __name__ == "__main__":
    write(Path(__file__).parent / "base")
