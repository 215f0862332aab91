"""Whose readings are: each release namespace with its instance, plan and consumer, and what to read of it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from shared import ownership
from shared.manifests import mapping
from shared.offering import CustomMetric, Metering

Object = dict[str, Any]


class Owner(NamedTuple):
    """Of all that is in one release namespace."""

    instance_uid: str
    instance: str
    offering: str
    plan: str = ""
    consumer_namespace: str = ""
    consumer: str = ""
    since: datetime | None = None
    leaving: bool = False
    metrics: frozenset[str] = frozenset({"cpu", "memory", "storage", "network"})
    custom: tuple[CustomMetric, ...] = ()

    @property
    def tenure(self) -> dict[str, str]:
        """As a Subject bears it."""
        return {
            name: getattr(self, name)
            for name in ("instance_uid", "instance", "offering", "plan", "consumer_namespace", "consumer")
        }


Owners = Mapping[str, Owner]
"""By the name of the release namespace."""


def owners_of(namespaces: Iterable[Object], offerings: Iterable[Object], consumers: Iterable[Object]) -> Owners:
    metering = {each["metadata"]["name"]: metering_of(each) for each in offerings}
    having = consumers_of(consumers)
    found = {}
    for each in namespaces:
        metadata = each["metadata"]
        key = ownership.instance_of({"metadata": {**metadata, "annotations": metadata.get("annotations") or {}}})
        if key is None:
            continue
        wanted = metering.get(key.offering, Metering())
        found[metadata["name"]] = Owner(
            instance_uid=key.uid,
            instance=f"{key.namespace}/{key.name}",
            offering=key.offering,
            plan=(metadata.get("annotations") or {}).get(ownership.PLAN, ""),
            consumer_namespace=key.namespace,
            consumer=having.get(key.namespace, ""),
            since=moment(metadata.get("creationTimestamp")),
            leaving="deletionTimestamp" in metadata,
            metrics=frozenset(wanted.metrics),
            custom=tuple(wanted.custom),
        )
    return found


def metering_of(offering: Object) -> Metering:
    try:
        return Metering.model_validate(mapping(offering.get("spec")).get("metering") or {})
    except ValidationError:
        return Metering()


def consumers_of(consumers: Iterable[Object]) -> dict[str, str]:
    """By namespace: which Consumer has it."""
    return {
        namespace: each["metadata"]["name"]
        for each in consumers
        for namespace in mapping(each.get("status")).get("namespaces") or []
    }


def life(uid: str, since: datetime | None) -> str:
    """The uid of one life of what begins to count anew each time."""
    return f"{uid}/{int(since.timestamp())}" if since else uid


def moment(told: object) -> datetime | None:
    """A time as Kubernetes writes it; None for what is none."""
    if not isinstance(told, str) or len(told) > 64:
        return None
    try:
        at = datetime.fromisoformat(told)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
