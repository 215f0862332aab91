"""What became of an instance's Helm release."""

from typing import ClassVar

from events.base import InstanceEvent


class ReleaseDeployed(InstanceEvent):
    """Helm installed or upgraded the release."""

    type: ClassVar[str] = "dev.chandlery.release.deployed.v1"

    generation: int
    revision: int


class ReleaseFailed(InstanceEvent):
    """Helm could not install or upgrade the release; the Deployed condition says why and what is tried next."""

    type: ClassVar[str] = "dev.chandlery.release.failed.v1"

    generation: int
    reason: str


class ReleaseStalled(InstanceEvent):
    """An upgrade has had its time and its workloads did not become ready, though those before it were."""

    type: ClassVar[str] = "dev.chandlery.release.stalled.v1"


class ReleaseRemoved(InstanceEvent):
    """Release and namespace are gone and the instance was let go."""

    type: ClassVar[str] = "dev.chandlery.release.removed.v1"
