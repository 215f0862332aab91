"""Readings and subjects with everything filled in but what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from events.readings import CPU, Reading, Subject

T0 = datetime(2026, 11, 1, tzinfo=UTC)


def at(seconds: float = 0) -> datetime:
    return T0 + timedelta(seconds=seconds)


def reading(seconds: float, value: int, metric: str = CPU, **fields: Any) -> Reading:
    return Reading(**{"subject": "pod-1", "kind": "pod", "metric": metric, "at": at(seconds), "value": value, **fields})


def subject(seconds: float, **fields: Any) -> Subject:
    return Subject(
        **{
            "uid": "pod-1",
            "kind": "pod",
            "name": "orders-0",
            "namespace": "database-team-a-orders",
            "instance_uid": "instance-1",
            "instance": "team-a/orders",
            "offering": "database",
            "plan": "small",
            "consumer_namespace": "team-a",
            "consumer": "team-a",
            "node": "node-1",
            "seen_last": at(seconds),
            **fields,
        }
    )
