"""Kubernetes Events about what we report on: what `kubectl describe` shows of an object's way."""

import contextlib
from collections.abc import Iterable
from datetime import UTC, datetime

from events.base import event_id
from shared.cluster import Cluster, Object
from shared.conditions import Condition
from shared.errors import ApiError, RetryLater
from shared.resources import KUBERNETES_EVENTS, Resource

NOTE_LIMIT = 1024  # events.k8s.io/v1
NAME_LIMIT = 253 - 37
UNDER_WAY = ("Progressing", "Removing")
CLUSTER_SCOPED_IN = "default"  # where Kubernetes looks for Events of what is in no namespace


def worth_telling(changed: Iterable[Condition]) -> list[Condition]:
    """What stands in the way, and else the last step that was taken: those before it say no more."""
    found = list(changed)
    return [each for each in found if each.status == "False"] or found[-1:]


def about(resource: Resource, metadata: Object, said: Condition, by: str, now: datetime) -> Object:
    """The same news of the same object has the same name: told twice, it stands there once."""
    cause = event_id(metadata["uid"], said.type, said.status, said.reason, said.message, said.observed_generation)
    namespace = metadata.get("namespace") or CLUSTER_SCOPED_IN
    return {
        "metadata": {"name": f"{metadata['name'][:NAME_LIMIT]}.{cause}", "namespace": namespace},
        "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": "Warning" if said.status == "False" and said.reason not in UNDER_WAY else "Normal",
        "reason": said.reason,
        "note": (said.message or f"{said.type} is {said.status}")[:NOTE_LIMIT],
        "action": said.type,
        "reportingController": "chandlery.dev/chandlery",
        "reportingInstance": by,
        "regarding": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": metadata["name"],
            "namespace": metadata.get("namespace", ""),
            "uid": metadata["uid"],
        },
    }


async def record(cluster: Cluster, resource: Resource, metadata: Object, changed: Iterable[Condition], by: str) -> None:
    """The condition is the truth; an Event that can't be written is only a line less."""
    for said in worth_telling(changed):
        with contextlib.suppress(ApiError, RetryLater):
            await cluster.create(KUBERNETES_EVENTS, about(resource, metadata, said, by, datetime.now(UTC)))
