"""Consumer and Provider: who may do what. The models that parse them, and that their CRDs are generated from."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared import ownership
from shared.conditions import Condition
from shared.offering import DNS_SUBDOMAIN, DURATION, Metadata, Model
from shared.resources import CONSUMERS, PROVIDERS, SYSTEM_NAMESPACE, Resource

ALL = "*"
CONSUMER = "chandlery.dev/consumer"
PROVIDER = "chandlery.dev/provider"
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
NAMESPACE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[str, Field(pattern=OBJECT_NAME, max_length=253)]


class Subject(Model):
    """Somebody who has the same rights as the service account Chandlery makes."""

    kind: Literal["User", "Group", "ServiceAccount"]
    name: str = Field(min_length=1, max_length=253)
    namespace: str | None = Field(None, pattern=NAMESPACE, max_length=63, description="Of a ServiceAccount")


class Kubeconfig(Model):
    """The credentials to issue, in a Secret in namespace chandlery."""

    server: str | None = Field(
        None,
        pattern=r"^https://[^\s]+$",
        max_length=2048,
        description="URL of the API server; default: what the cluster says of itself",
    )
    lifetime: str = Field(
        "720h",
        pattern=DURATION,
        max_length=32,
        description="Of a token, from 10m to 8760h; default: 720h. It is renewed when a third is left",
    )


class Issued(Model):
    secret_name: str | None = None
    expires: str | None = None


class GranteeSpec(Model):
    subjects: list[Subject] = Field([], max_length=64, description="Besides the service account that Chandlery makes")
    kubeconfig: Kubeconfig = Kubeconfig()
    nats: bool = Field(
        False, description="Whether what is published on its NATS subject, chandlery.in.NAME.>, is done in its name"
    )


class ConsumerSpec(GranteeSpec):
    namespaces: list[Annotated[str, Field(pattern=NAMESPACE, max_length=63)]] = Field(
        [],
        max_length=64,
        description="Made if missing; default: the Consumer's own name. One that is there already must bear the label"
        " chandlery.dev/consumer with the Consumer's name",
    )
    offerings: list[Annotated[str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$", max_length=253)]] = Field(
        max_length=256, description='Names of Offerings that may be ordered, or "*" for all'
    )
    limits: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {}, max_length=256, description="How many instances of each Offering, by its name"
    )


class ProviderSpec(GranteeSpec):
    api_groups: list[Annotated[str, Field(pattern=DNS_SUBDOMAIN, max_length=200)]] = Field(
        min_length=1, max_length=64, description="Offerings of these groups it may manage, and see what came of them"
    )
    offerings: list[Name] = Field(
        [],
        max_length=256,
        description="Names it may read and change before there are Offerings of these names, as `kubectl apply` needs",
    )
    secrets: list[Name] = Field(
        [],
        max_length=64,
        description="Secrets in namespace chandlery that its Offerings may name, for charts from behind a login",
    )


class GranteeStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] = []
    kubeconfig: Issued = Issued()


class ConsumerStatus(GranteeStatus):
    namespaces: list[str] = Field([], description="Those it has")


class ProviderStatus(GranteeStatus):
    pass


class Grantee(Model):
    """Who is given rights. Each has a service account and a Secret with its kubeconfig in namespace chandlery."""

    RESOURCE: ClassVar[Resource]
    MARK: ClassVar[str]

    metadata: Metadata
    spec: GranteeSpec
    status: GranteeStatus = GranteeStatus()

    @property
    def withdrawn(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def account(self) -> str:
        return account_of(self.RESOURCE, self.metadata.name)

    @property
    def labels(self) -> dict[str, str]:
        return {ownership.MANAGED_BY: ownership.MANAGER, self.MARK: self.metadata.name}

    @property
    def user(self) -> str:
        """Its service account's name to the API server."""
        return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{self.account}"


class Consumer(Grantee):
    RESOURCE: ClassVar[Resource] = CONSUMERS
    MARK: ClassVar[str] = CONSUMER

    spec: ConsumerSpec
    status: ConsumerStatus = ConsumerStatus()

    @property
    def namespaces(self) -> list[str]:
        return self.spec.namespaces or [self.metadata.name]

    def may_order(self, offering: str) -> bool:
        return ALL in self.spec.offerings or offering in self.spec.offerings


class Provider(Grantee):
    RESOURCE: ClassVar[Resource] = PROVIDERS
    MARK: ClassVar[str] = PROVIDER

    spec: ProviderSpec
    status: ProviderStatus = ProviderStatus()


def account_of(resource: Resource, name: str) -> str:
    return f"{resource.kind.lower()}-{name}"


def secret_of(account: str) -> str:
    return f"{account}-kubeconfig"
