"""What became of an instance's isolation."""

from typing import ClassVar

from events.base import InstanceEvent


class PoliciesApplied(InstanceEvent):
    """The release namespace exists with every policy in force; workloads may start."""

    type: ClassVar[str] = "dev.chandlery.policies.applied.v1"

    generation: int


class PoliciesDrifted(InstanceEvent):
    """What bounds an instance was changed, deleted, or is wanted otherwise; its release stays as it is."""

    type: ClassVar[str] = "dev.chandlery.policies.drifted.v1"


class PoliciesRefused(InstanceEvent):
    """The instance can't be isolated as asked; the Isolated condition says why."""

    type: ClassVar[str] = "dev.chandlery.policies.refused.v1"

    generation: int
    reason: str
