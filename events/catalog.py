"""The one table of events: who says what to whom over which Broker, and its export as JSON Schema and AsyncAPI.

`python -m events.catalog` writes docs/reference/events/; CI runs it and compares.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from events.access import AccessGranted, ConsumerApplied, ConsumerWithdrawn, ProviderApplied, ProviderWithdrawn
from events.apis import ApiPublished, ApiRefused, ApiRetired
from events.base import Event
from events.charts import ChartRefused, ChartRegistered
from events.exports import ExportsAged
from events.instances import (
    InstanceAdmitted,
    InstanceDegraded,
    InstanceReady,
    InstanceRefused,
    InstanceRequested,
    InstancesChanged,
    InstanceWithdrawn,
)
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.policies import PoliciesApplied, PoliciesDrifted, PoliciesRefused
from events.releases import ReleaseDeployed, ReleaseFailed, ReleaseRemoved, ReleaseStalled
from events.requests import InstanceCancelled, InstanceOrdered, RequestAnswered, UsageReported
from events.ticks import Ticked
from events.usage import UsageMeasured, UsageRecorded
from events.workloads import WorkloadsChanged

Domain = Literal["offerings", "instances", "usage", "requests"]


@dataclass(frozen=True)
class Entry:
    event: type[Event]
    broker: Domain
    producers: tuple[str, ...]
    consumers: tuple[str, ...]


CATALOG: tuple[Entry, ...] = (
    Entry(OfferingApplied, "offerings", ("offerings_source", "resync"), ("register_chart", "grant_access")),
    Entry(OfferingWithdrawn, "offerings", ("offerings_source", "resync"), ("retire_offering", "grant_access")),
    Entry(ChartRegistered, "offerings", ("register_chart",), ("publish_api",)),
    Entry(ChartRefused, "offerings", ("register_chart",), ("publish_api",)),
    Entry(ApiPublished, "offerings", ("publish_api",), ("map_parameters", "grant_access", "note_prices")),
    Entry(ApiRefused, "offerings", ("publish_api",), ("grant_access",)),
    Entry(AccessGranted, "offerings", ("grant_access",), ()),
    Entry(ApiRetired, "offerings", ("retire_offering",), ("grant_access",)),
    Entry(ConsumerApplied, "offerings", ("offerings_source", "resync"), ("grant_access",)),
    Entry(ConsumerWithdrawn, "offerings", ("offerings_source", "resync"), ("grant_access",)),
    Entry(ProviderApplied, "offerings", ("offerings_source", "resync"), ("grant_access",)),
    Entry(ProviderWithdrawn, "offerings", ("offerings_source", "resync"), ("grant_access",)),
    Entry(Ticked, "offerings", ("resync_ping",), ("resync", "limit_namespaces", "verify_isolation")),
    Entry(InstanceRequested, "instances", ("instances_source", "resync"), ("admit_instance",)),
    Entry(InstanceAdmitted, "instances", ("admit_instance", "resync"), ("apply_policies",)),
    Entry(InstanceRefused, "instances", ("admit_instance", "install_release"), ("report_health", "tell_outsiders")),
    Entry(PoliciesDrifted, "instances", ("instances_source", "resync"), ("apply_policies",)),
    Entry(PoliciesApplied, "instances", ("apply_policies",), ("install_release",)),
    Entry(PoliciesRefused, "instances", ("apply_policies",), ("report_health",)),
    Entry(ReleaseDeployed, "instances", ("install_release",), ("report_health", "grant_access")),
    Entry(ReleaseFailed, "instances", ("install_release",), ("report_health", "grant_access")),
    Entry(ReleaseStalled, "instances", ("resync",), ("install_release",)),
    Entry(WorkloadsChanged, "instances", ("instances_source", "resync"), ("report_health",)),
    Entry(InstanceReady, "instances", ("report_health",), ("share_secrets", "tell_outsiders")),
    Entry(ExportsAged, "instances", ("resync",), ("share_secrets",)),
    Entry(InstanceDegraded, "instances", ("report_health",), ("tell_outsiders",)),
    Entry(InstancesChanged, "instances", ("instances_source",), ("count_instances",)),
    Entry(InstanceWithdrawn, "instances", ("instances_source", "resync"), ("remove_release",)),
    Entry(ReleaseRemoved, "instances", ("remove_release",), ("tell_outsiders",)),
    Entry(InstanceOrdered, "requests", ("nats_source",), ("accept_request",)),
    Entry(InstanceCancelled, "requests", ("nats_source",), ("accept_request",)),
    Entry(UsageReported, "requests", ("nats_source",), ("accept_usage",)),
    Entry(RequestAnswered, "requests", ("accept_request", "accept_usage"), ("tell_outsiders",)),
    Entry(Ticked, "usage", ("metrics_ping",), ("collect_usage", "close_windows")),
    Entry(UsageMeasured, "usage", ("collect_usage", "remove_release", "accept_usage"), ("record_usage",)),
    Entry(UsageRecorded, "usage", ("close_windows",), ("report_usage", "tell_outsiders")),
)

WEBHOOKS = ("convert_instances",)
"""Functions that no event reaches: the API server calls them, over HTTPS."""

PAGES = ("expose_usage",)
"""Functions that no event reaches either: they are looked at, by Prometheus."""

DEAD_LETTERS = ("keep_dead_letters",)
"""Functions that Brokers call with what nobody took, whatever it is."""

# A tick stands in it more than once, on a Broker each; here the first counts.
BY_TYPE: dict[str, Entry] = {entry.event.type: entry for entry in reversed(CATALOG)}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0: a channel for each Broker, a message for each event, an operation for each function and event."""
    brokers = sorted({entry.broker for entry in CATALOG})
    operations: dict[str, Any] = {}
    for entry in CATALOG:
        name = entry.event.__name__
        sides = [("send", who) for who in entry.producers] + [("receive", who) for who in entry.consumers]
        for action, who in sides:
            operations[f"{who}.{action}.{name}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{entry.broker}"},
                "messages": [{"$ref": f"#/channels/{entry.broker}/messages/{name}"}],
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Chandlery", "version": "v1", "description": "CloudEvents 1.0 between Knative functions."},
        "defaultContentType": "application/json",
        "channels": {
            broker: {
                "address": f"chandlery/{broker}",
                "description": f"The Knative Broker `{broker}` in namespace chandlery.",
                "messages": {
                    entry.event.__name__: {"$ref": f"#/components/messages/{entry.event.__name__}"}
                    for entry in CATALOG
                    if entry.broker == broker
                },
            }
            for broker in brokers
        },
        "operations": operations,
        "components": {
            "messages": {
                entry.event.__name__: {
                    "name": entry.event.type,
                    "summary": (entry.event.__doc__ or "").strip(),
                    "payload": {"$ref": f"./{entry.event.type}.json"},
                }
                for entry in CATALOG
            }
        },
    }


def json_schema(event: type[Event]) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **event.model_json_schema()}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    documents = {f"{entry.event.type}.json": json_schema(entry.event) for entry in CATALOG}
    documents["asyncapi.json"] = asyncapi()
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    write(Path(__file__).parent.parent / "docs" / "reference" / "events")
