"""What happens to an instance as its consumer sees it."""

from typing import ClassVar

from events.base import Event, InstanceEvent


class InstanceRequested(InstanceEvent):
    """An instance was created, its spec changed, or its Offering was published anew."""

    type: ClassVar[str] = "dev.chandlery.instance.requested.v1"

    generation: int


class InstanceWithdrawn(InstanceEvent):
    """An instance was marked for deletion or is gone, and its release may still be there."""

    type: ClassVar[str] = "dev.chandlery.instance.withdrawn.v1"


class InstanceAdmitted(InstanceEvent):
    """The request is right: parameters, plan and limits hold."""

    type: ClassVar[str] = "dev.chandlery.instance.admitted.v1"

    generation: int


class InstanceRefused(InstanceEvent):
    """The request can't be granted as it stands; the Accepted condition says what to change."""

    type: ClassVar[str] = "dev.chandlery.instance.refused.v1"

    generation: int
    reason: str
    message: str = ""
    """For outsiders, who don't see the condition."""


class InstanceReady(InstanceEvent):
    """Every workload of the release became ready."""

    type: ClassVar[str] = "dev.chandlery.instance.ready.v1"

    generation: int


class InstanceDegraded(InstanceEvent):
    """A ready instance stopped being ready, or its newest request failed."""

    type: ClassVar[str] = "dev.chandlery.instance.degraded.v1"

    generation: int
    reason: str


class InstancesChanged(Event):
    """Instances of an Offering appeared, went or changed state; sent at most once in a while for each Offering."""

    type: ClassVar[str] = "dev.chandlery.instances.changed.v1"

    offering: str

    @property
    def subject(self) -> str:
        return self.offering

    @property
    def log_fields(self) -> dict[str, str]:
        return {"offering": self.offering}
