"""What instances consumed: as it was read, and as it stands in the ledger."""

from typing import ClassVar

from pydantic import AwareDatetime

from events.base import Contract, Event
from events.readings import Reading, Subject, Type


class UsageMeasured(Event):
    """Readings of one node, of one instance or from outside, and whom they belong to. Twice does no harm."""

    type: ClassVar[str] = "dev.chandlery.usage.measured.v1"

    origin: str
    """Where it was read: `node/NAME`, `instance/UID` or `consumer/NAME`."""
    readings: list[Reading]
    subjects: list[Subject] = []

    @property
    def subject(self) -> str:
        return self.origin

    @property
    def log_fields(self) -> dict[str, str]:
        return {"origin": self.origin}


class Amount(Contract):
    """Of a counter core-nanoseconds, bytes, or a custom one's thousandths; of a gauge units x milliseconds."""

    metric: str
    type: Type
    amount: int
    gap_ms: int
    """For how long nothing was read, over all pods and volumes together."""


class UsageRecorded(Event):
    """All that one instance used in one hour. Later readings may correct it: a newer `revision` replaces an older.

    The same instance, hour, plan, consumer and revision is the same event, with the same id, however often it is sent.
    """

    type: ClassVar[str] = "dev.chandlery.usage.recorded.v1"

    instance_uid: str
    instance: str
    """namespace/name"""
    offering: str
    plan: str
    consumer_namespace: str
    consumer: str
    start: AwareDatetime
    end: AwareDatetime
    revision: int
    amounts: list[Amount]

    @property
    def subject(self) -> str:
        return f"{self.instance_uid}/{self.start:%Y-%m-%dT%HZ}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {"offering": self.offering, "instance": self.instance}
