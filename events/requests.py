"""What outside systems say over NATS, and what they are answered.

`sender` is who said it: the NATS source reads it from the subject, which NATS's own permissions bind to an account, and
never from the message. All that a message says of it is overridden.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from events.base import Contract, Event
from events.readings import LARGEST, Moment

NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

ObjectName = Annotated[str, Field(pattern=NAME, max_length=253)]
NamespaceName = Annotated[str, Field(pattern=NAMESPACE, max_length=63)]
Text = Annotated[str, Field(max_length=253)]


class Message(Contract):
    """Which message it was, for whoever sent it to recognise."""

    id: str = ""
    source: str = ""
    position: int = Field(0, description="In the stream: of two messages the later one counts")


class Request(Event):
    """Of whom, about which instance: that of an Offering, or of its apiVersion and kind."""

    sender: str = Field("", description="consumer/NAME or provider/NAME: from the subject, whatever the message says")
    message: Message = Field(Message(), description="Filled in from the CloudEvent, whatever the message says")
    reply: str | None = Field(None, max_length=255, description="NATS subject that gets the answer, besides the usual")
    offering: ObjectName | None = None
    api_version: Text | None = None
    kind: Text | None = None
    namespace: NamespaceName
    name: ObjectName

    @model_validator(mode="after")
    def _names_a_kind(self) -> "Request":
        if self.offering is None and (self.api_version is None or self.kind is None):
            raise ValueError("offering: name the Offering, or give both api_version and kind")
        return self

    @property
    def subject(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {"sender": self.sender, "instance": self.subject}


class InstanceOrdered(Request):
    """An outside system ordered an instance, or ordered it anew with another spec: it is to be as it says here."""

    type: ClassVar[str] = "dev.chandlery.instance.ordered.v1"

    spec: dict[str, Any] = {}


class InstanceCancelled(Request):
    """An outside system wants an instance no longer."""

    type: ClassVar[str] = "dev.chandlery.instance.cancelled.v1"


class UsageReported(Request):
    """How a counter or a gauge, kept outside for one instance, stood at one time.

    A counter's `value` is all that was ever counted, not what was added: a message that is lost, late or told twice
    changes no sum. One that began again at zero says since when.
    """

    type: ClassVar[str] = "dev.chandlery.usage.reported.v1"

    metric: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200, description="Kept as custom:METRIC")
    value: int | float = Field(ge=0, le=LARGEST / 1000, allow_inf_nan=False)
    at: Moment
    counter: bool = Field(True, description="false: a gauge, which counts for as long as it stands")
    since: Moment | None = Field(None, description="When the counter began at zero; a new time says it began again")


class Found(Contract):
    """The object that an accepted request is about."""

    api_version: str
    kind: str
    uid: str
    generation: int


class RequestAnswered(Event):
    """A request was carried out, or refused with what to change. What becomes of an instance, later events tell."""

    type: ClassVar[str] = "dev.chandlery.request.answered.v1"

    request: str
    """The type of what was asked."""
    sender: str
    message: Message
    reply: str | None = None
    namespace: str
    name: str
    outcome: Literal["accepted", "refused"]
    reason: str
    field: str = Field("", description="Of the request: what to change")
    text: str = ""
    instance: Found | None = None

    @property
    def subject(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {"sender": self.sender, "instance": self.subject, "outcome": self.outcome}
