"""The clock: what Knative's PingSources say."""

from typing import ClassVar

from events.base import Event


class Ticked(Event):
    """It is time to look. Type and source are PingSource's own: which clock it is, the Broker tells."""

    type: ClassVar[str] = "dev.knative.sources.ping"

    seconds: float = 60
    """The period of the tick."""

    @property
    def subject(self) -> str:
        return "tick"

    @property
    def log_fields(self) -> dict[str, str]:
        return {}
