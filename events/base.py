"""What every event has: a frozen payload, a type, a subject, and an id that follows from its cause."""

from typing import ClassVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

NAMESPACE = UUID("6d2f0a9e-7d0b-5f0c-9f43-3f1f9f2c6a11")


def event_id(*cause: object) -> str:
    """Same cause, same id: brokers and consumers may drop repeats by source and id."""
    return str(uuid5(NAMESPACE, "|".join(str(part) for part in cause)))


class Contract(BaseModel):
    """Frozen; unknown fields are ignored, so that a producer may add one before its consumers know it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Contract):
    """The `data` of a CloudEvent. An event is a key, not a state: whoever gets it reads the object again."""

    type: ClassVar[str]

    @property
    def subject(self) -> str:
        raise NotImplementedError

    @property
    def log_fields(self) -> dict[str, str]:
        """What a log line about this event names besides the event itself."""
        raise NotImplementedError


class OfferingKey(Contract):
    name: str
    uid: str


class InstanceKey(Contract):
    """Where one instance is found; with the uid, so that a namesake made later is never mistaken for it."""

    offering: str
    group: str
    version: str
    plural: str
    kind: str
    namespace: str
    name: str
    uid: str


class OfferingEvent(Event):
    offering: OfferingKey
    generation: int

    @property
    def subject(self) -> str:
        return self.offering.name

    @property
    def log_fields(self) -> dict[str, str]:
        return {"offering": self.offering.name}


class InstanceEvent(Event):
    instance: InstanceKey

    @property
    def subject(self) -> str:
        return f"{self.instance.plural}.{self.instance.group}/{self.instance.namespace}/{self.instance.name}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {
            "offering": self.instance.offering,
            "instance": f"{self.instance.namespace}/{self.instance.name}",
        }
