"""Who may do what: Consumers and Providers as an administrator sees them."""

from typing import ClassVar

from events.base import Contract, Event, OfferingEvent


class ConsumerKey(Contract):
    name: str
    uid: str


class ProviderKey(Contract):
    name: str
    uid: str


class ConsumerEvent(Event):
    consumer: ConsumerKey
    generation: int

    @property
    def subject(self) -> str:
        return f"consumers/{self.consumer.name}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {"consumer": self.consumer.name}


class ProviderEvent(Event):
    provider: ProviderKey
    generation: int

    @property
    def subject(self) -> str:
        return f"providers/{self.provider.name}"

    @property
    def log_fields(self) -> dict[str, str]:
        return {"provider": self.provider.name}


class ConsumerApplied(ConsumerEvent):
    """A Consumer was created or its spec changed, or its rights or credentials are not what they should be."""

    type: ClassVar[str] = "dev.chandlery.consumer.applied.v1"


class ConsumerWithdrawn(ConsumerEvent):
    """A Consumer was marked for deletion, or is gone and left rights behind."""

    type: ClassVar[str] = "dev.chandlery.consumer.withdrawn.v1"


class ProviderApplied(ProviderEvent):
    """A Provider was created or its spec changed, or its rights or credentials are not what they should be."""

    type: ClassVar[str] = "dev.chandlery.provider.applied.v1"


class ProviderWithdrawn(ProviderEvent):
    """A Provider was marked for deletion, or is gone and left rights behind."""

    type: ClassVar[str] = "dev.chandlery.provider.withdrawn.v1"


class AccessGranted(OfferingEvent):
    """The Offering's roles are in force: Helm and the functions may do what its instances need, and no more."""

    type: ClassVar[str] = "dev.chandlery.access.granted.v1"
