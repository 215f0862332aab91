"""What happens inside release namespaces."""

from typing import ClassVar

from events.base import InstanceEvent


class WorkloadsChanged(InstanceEvent):
    """Workloads of an instance changed; many changes in a short time are one event."""

    type: ClassVar[str] = "dev.chandlery.workloads.changed.v1"
