"""The clock: what Knative's PingSources say."""

from typing import ClassVar

from events.base import Event


class ResyncTicked(Event):
    """It is time to look for what is not where it should be. Type and source are PingSource's own."""

    type: ClassVar[str] = "dev.knative.sources.ping"

    seconds: float = 60
    """The period of the tick."""

    @property
    def subject(self) -> str:
        return "resync"

    @property
    def log_fields(self) -> dict[str, str]:
        return {}
