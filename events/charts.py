"""What became of an Offering's chart."""

from typing import ClassVar

from events.base import OfferingEvent


class ChartRegistered(OfferingEvent):
    """The chart was verified and is kept by digest."""

    type: ClassVar[str] = "dev.chandlery.chart.registered.v1"

    digest: str


class ChartRefused(OfferingEvent):
    """The chart could not be had or is not fit; the Offering's ChartReady condition says why."""

    type: ClassVar[str] = "dev.chandlery.chart.refused.v1"

    reason: str
