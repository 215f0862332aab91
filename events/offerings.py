"""What happens to an Offering as its provider sees it."""

from typing import ClassVar

from events.base import OfferingEvent


class OfferingApplied(OfferingEvent):
    """An Offering was created or its spec changed."""

    type: ClassVar[str] = "dev.chandlery.offering.applied.v1"


class OfferingWithdrawn(OfferingEvent):
    """An Offering was marked for deletion, or what it waits for may have gone."""

    type: ClassVar[str] = "dev.chandlery.offering.withdrawn.v1"
