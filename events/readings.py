"""What is read: one number of one pod, volume, instance or node at one time, and who it is read from.

Units: CPU in core-nanoseconds and network in bytes, both counted up since the subject started; memory, storage and
their capacities in bytes; CPU requests, limits and capacity in thousandths of a core. Custom metrics are kept in
thousandths of their own unit (half to even): a counter's total is off by 0.001 at most however often it is read.
"""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from events.base import Contract

Kind = Literal["pod", "volume", "instance", "node"]
Type = Literal["counter", "gauge"]

CPU = "cpu_core_ns"
NETWORK_RECEIVED = "network_rx_bytes"
NETWORK_TRANSMITTED = "network_tx_bytes"
RESTARTS = "restarts"
MEMORY = "memory_working_set_bytes"
EPHEMERAL_STORAGE = "ephemeral_storage_bytes"
VOLUME_USED = "volume_used_bytes"
VOLUME_CAPACITY = "volume_capacity_bytes"
REQUESTS_CPU = "requests_cpu_millicores"
REQUESTS_MEMORY = "requests_memory_bytes"
LIMITS_CPU = "limits_cpu_millicores"
LIMITS_MEMORY = "limits_memory_bytes"
INSTANCE_PRESENT = "instance_present"
CAPACITY_CPU = "capacity_cpu_millicores"
CAPACITY_MEMORY = "capacity_memory_bytes"
CUSTOM = "custom:"

TYPES: dict[str, Type] = {
    CPU: "counter",
    NETWORK_RECEIVED: "counter",
    NETWORK_TRANSMITTED: "counter",
    RESTARTS: "counter",
    MEMORY: "gauge",
    EPHEMERAL_STORAGE: "gauge",
    VOLUME_USED: "gauge",
    VOLUME_CAPACITY: "gauge",
    REQUESTS_CPU: "gauge",
    REQUESTS_MEMORY: "gauge",
    LIMITS_CPU: "gauge",
    LIMITS_MEMORY: "gauge",
    INSTANCE_PRESENT: "gauge",
    CAPACITY_CPU: "gauge",
    CAPACITY_MEMORY: "gauge",
}

CUSTOM_UNITS_PER_ONE = 1000
LARGEST = 2**63 - 1  # what both databases keep in an integer


def _to_the_millisecond(at: datetime) -> datetime:
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


Moment = Annotated[AwareDatetime, AfterValidator(_to_the_millisecond)]
Uid = Annotated[str, Field(min_length=1, max_length=300)]
Name = Annotated[str, Field(max_length=300)]
Metric = Annotated[str, Field(min_length=1, max_length=300)]


class Reading(Contract):
    """`value` of a counter is what it stands at, not what was added. `at` is when the sample was taken, not sent."""

    subject: Uid
    kind: Kind
    metric: Metric
    at: Moment
    value: int | float | Decimal
    node: Name | None = None
    counter: bool | None = Field(None, description="Of a custom metric: whether it is a counter. Others are known")

    @model_validator(mode="after")
    def _makes_sense(self) -> "Reading":
        if not _countable(self.value):
            raise ValueError(f"value: {str(self.value)[:30]} is no number from 0 to {LARGEST}")
        if not self.custom and self.metric not in TYPES:
            raise ValueError(f"metric: {self.metric!r} is not known; metrics of one's own are called {CUSTOM}NAME")
        if self.custom and self.counter is None:
            raise ValueError(f"counter: say whether {self.metric} is a counter or a gauge")
        if not self.custom and self.value != int(self.value):
            raise ValueError(f"value: {self.metric} comes in whole units, not {self.value}")
        if self.units > LARGEST:
            raise ValueError(f"value: {self.value} is more than {LARGEST} thousandths")
        return self

    @property
    def custom(self) -> bool:
        return self.metric.startswith(CUSTOM)

    @property
    def type(self) -> Type:
        return TYPES.get(self.metric) or ("counter" if self.counter else "gauge")

    @property
    def units(self) -> int:
        """The value as the ledger counts it: whole units, of custom metrics thousandths."""
        return in_thousandths(self.value) if self.custom else int(self.value)


def _countable(value: float | Decimal) -> bool:
    return (isinstance(value, int) or isfinite(value)) and 0 <= value <= LARGEST


def in_thousandths(value: float | Decimal) -> int:
    exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    return int((exact * CUSTOM_UNITS_PER_ONE).to_integral_value(ROUND_HALF_EVEN))


class Subject(Contract):
    """Whom readings belong to, as it stood at `seen_last`; sent along with them.

    `started_at` is since when the subject's counters count: a new one means that they began again at zero. For what the
    kubelet says of a pod that is the start of its sandbox, not of a container in it.
    """

    uid: Uid
    kind: Kind
    name: Name
    namespace: Name | None = None
    instance_uid: Name | None = None
    instance: Name | None = Field(None, description="namespace/name")
    offering: Name | None = None
    plan: Name | None = None
    consumer_namespace: Name | None = None
    consumer: Name | None = None
    node: Name | None = None
    started_at: Moment | None = None
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    seen_last: Moment
    ended: bool = Field(False, description="It was gone at seen_last: what stood until then stands until then")
