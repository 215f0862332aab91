"""What became of an Offering's consumer API."""

from typing import ClassVar

from events.base import OfferingEvent


class ApiPublished(OfferingEvent):
    """The generated CRD is established; consumers can order."""

    type: ClassVar[str] = "dev.chandlery.api.published.v1"

    crd: str


class ApiRefused(OfferingEvent):
    """No API could be made of this Offering as it stands; its ChartReady or Published condition says why."""

    type: ClassVar[str] = "dev.chandlery.api.refused.v1"

    reason: str


class ApiRetired(OfferingEvent):
    """The API and everything made for the Offering are gone."""

    type: ClassVar[str] = "dev.chandlery.api.retired.v1"
