"""Who may do what."""

from typing import ClassVar

from events.base import OfferingEvent


class AccessGranted(OfferingEvent):
    """The Offering's roles are in force: Helm and the functions may do what its instances need, and no more."""

    type: ClassVar[str] = "dev.chandlery.access.granted.v1"
