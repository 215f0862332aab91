"""The Offering kind: the model that parses it, and that its CRD is generated from."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.conditions import Condition
from shared.metering.prices import OfferedPrice

Values = dict[str, Any]
Quantities = dict[str, str | int]

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$"
DIGEST = r"^sha256:[a-f0-9]{64}$"
DURATION = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"


class Model(BaseModel):
    """camelCase outside, snake_case inside; the API server has refused unknown fields already."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class SecretRef(Model):
    name: str = Field(min_length=1, max_length=253)


class Auth(Model):
    secret_ref: SecretRef = Field(
        description="A Secret in namespace chandlery: username and password, or token, or .dockerconfigjson; and ca.crt"
    )


class Key(Model):
    secret_ref: SecretRef = Field(description="A Secret in namespace chandlery")


class Verify(Model):
    """Who must have signed the chart."""

    keyring: Key | None = Field(
        None, description="Key `keyring` holds PGP public keys: the chart's .prov must be a signature by one of them"
    )
    cosign: Key | None = Field(
        None, description="Key `cosign.pub` holds a PEM public key: cosign must have signed the OCI artifact with it"
    )


class ChartSource(Model):
    """Where the chart comes from: `url`, or `repository` with `name` and `version`, or `archive`."""

    url: str | None = Field(
        None,
        description="https://, oci://host/path:version, http:// (loopback only), file:/// (embedded mode)",
        max_length=2048,
    )
    repository: str | None = Field(None, description="URL of a Helm repository", max_length=2048)
    name: str | None = Field(None, description="The chart's name in the repository", max_length=253)
    version: str | None = Field(
        None,
        description="The chart's version in the repository: 1.2.3, or a range as Helm takes it: ^1.2, 1.x, >=1 <2",
        max_length=128,
    )
    archive: str | None = Field(None, description="Digest of a chart that was pushed", pattern=DIGEST)
    digest: str | None = Field(None, description="What was fetched must have this digest", pattern=DIGEST)
    auth: Auth | None = None
    verify: Verify | None = None


class Api(Model):
    """The consumer API to generate."""

    group: str = Field(pattern=DNS_SUBDOMAIN, max_length=200)
    kind: str = Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)
    plural: str | None = Field(
        None, pattern=DNS_LABEL, max_length=63, description="Default: the kind in lower case, as an English plural"
    )
    version: str = Field("v1alpha1", pattern=r"^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$")
    short_names: list[Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]] = Field([], max_length=10)
    description: str | None = Field(None, max_length=4096)


class Parameter(Model):
    """A value of the chart that consumers may set."""

    path: str = Field(
        min_length=1,
        max_length=512,
        description='Where it goes in the values: a.b, or a["x.y"] for such keys. A map is a parameter with all that is'
        " in it; * stands for any part of a key, ** for any number of keys",
    )
    name: str | None = Field(
        None, min_length=1, max_length=512, description="Where it stands in the consumer's spec; default: the same path"
    )
    description: str | None = Field(None, max_length=4096)
    type: Literal["string", "integer", "number", "boolean", "array", "object"] | None = None
    default: Any = Field(None, description="Becomes a schema default; the chart's own defaults are only shown")
    enum: list[Any] | None = Field(None, min_length=1, max_length=256)
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = Field(None, max_length=1024)
    required: bool = False
    immutable: bool = False
    column: bool = Field(False, description="Show it in `kubectl get`")
    secret: bool = Field(False, description="The consumer names a Secret {name, key} instead of giving the value")


class Plan(Model):
    name: str = Field(pattern=DNS_LABEL, max_length=63)
    default: bool = False
    description: str | None = Field(None, max_length=4096)
    values: Values = {}
    quota: Quantities = {}


class Pods(Model):
    requests: Quantities = {}
    limits: Quantities = {}
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    runtime_class_name: str | None = None


class Requirement(Model):
    key: str = Field(min_length=1, max_length=317)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = Field([], max_length=64)


class Selector(Model):
    """Of labels, as everywhere in Kubernetes; an empty one selects all."""

    match_labels: dict[str, str] = {}
    match_expressions: list[Requirement] = Field([], max_length=16)


class IpBlock(Model):
    cidr: str = Field(min_length=1, max_length=64)
    except_: list[Annotated[str, Field(max_length=64)]] = Field([], alias="except", max_length=64)


class Port(Model):
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    port: int | str
    end_port: int | None = Field(None, ge=1, le=65535)


class Peer(Model):
    """A NetworkPolicyPeer, with the ports it may use; no ports are all of them."""

    namespace_selector: Selector | None = None
    pod_selector: Selector | None = None
    ip_block: IpBlock | None = None
    ports: list[Port] = Field([], max_length=64)


class Network(Model):
    isolation: Literal["Strict", "SameNamespace", "None"] = Field(
        "Strict",
        description="Strict: an instance's pods reach each other and DNS. SameNamespace: pods beside the instance"
        " object reach them too. None: no policy",
    )
    allow_from: list[Peer] = Field([], max_length=64, description="Who else may reach every instance")
    allow_to: list[Peer] = Field([], max_length=64, description="What else every instance may reach")


class Limits(Model):
    instances: int | None = Field(None, ge=0)
    instances_per_namespace: int | None = Field(None, ge=0)
    expires: date | None = None


class Policies(Model):
    """What every instance is born with."""

    quota: Quantities = Field({}, description="ResourceQuota of the release namespace")
    pods: Pods = Pods()
    network: Network = Network()
    pod_security: Literal["privileged", "baseline", "restricted"] = "baseline"
    cluster_scoped: list[str] = Field([], description="Kinds of cluster-scoped objects the chart may create")
    storage_classes: list[str] | None = Field(None, description="Allowed storage classes; default: all")
    limits: Limits = Limits()
    service_types: list[Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]] = ["ClusterIP"]
    capacity: Literal["Checked", "Unchecked"] = Field(
        "Checked",
        description="Unchecked: for a cluster that adds nodes by itself; nothing is held against those it has",
    )


class CustomMetric(Model):
    """A number that the pods of an instance tell themselves, as Prometheus reads it; over all labels together."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)
    port: str = Field(pattern=r"^([-a-z0-9]{1,63})$", description="Name or number of a port of the pods' containers")
    path: str = Field("/metrics", pattern=r"^(/|(/[-A-Za-z0-9_~][-A-Za-z0-9_.~]*)+)$", max_length=512)


class Metering(Model):
    metrics: list[Literal["cpu", "memory", "storage", "network"]] = ["cpu", "memory", "storage", "network"]
    custom: list[CustomMetric] = Field([], max_length=32)
    prices: list[OfferedPrice] = Field(
        [],
        max_length=256,
        description="What consumers pay. A price is never changed: it is followed by one with a new validFrom",
    )


class ReleaseTemplate(Model):
    """How releases are called and how long Helm may take."""

    namespace: str = Field(
        "$(offering.name)-$(instance.namespace)-$(instance.name)",
        max_length=512,
        description="Made unique and cut to length with a hash",
    )
    name: str = Field("$(instance.name)", max_length=512, description="Cut to length with a hash")
    timeout: str = Field("5m", pattern=DURATION, description="Of each Helm operation, hooks included")


NAME_WITHIN = r"^([-.a-z0-9]|\$\((instance\.(name|namespace|uid)|release\.(name|namespace)|offering\.name)\)){1,253}$"
"""With placeholders, each of which counts as one character."""


class ConsumerAccess(Model):
    """What a Consumer may do in the release namespaces of its instances; without it, nothing."""

    logs: bool = Field(False, description="Read the pods' logs")
    port_forward: bool = Field(False, description="Forward a port of a pod to their own machine")
    secrets: list[Annotated[str, Field(pattern=NAME_WITHIN, max_length=512)]] = Field(
        [],
        max_length=64,
        description="Names of Secrets they may read; may hold $(release.name) and the like",
    )


class Export(Model):
    """A Secret of the release that is copied beside the instance, and kept in step."""

    secret: str = Field(
        pattern=NAME_WITHIN, max_length=512, description="Its name in the release namespace; may hold $(release.name)"
    )
    keys: list[Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]] | None = Field(
        None, min_length=1, max_length=256, description="Which of its keys; default: all"
    )
    name: str = Field(
        alias="as", pattern=DNS_LABEL, max_length=63, description="The copy is called INSTANCE-NAME, with this as NAME"
    )


class OfferingSpec(Model):
    chart: ChartSource
    api: Api
    parameters: list[Parameter] | None = Field(
        None, max_length=1024, description="What consumers may set, nothing else. Absent: every value of the chart"
    )
    values: Values = Field(
        {}, description="The provider's fixed values; they win. Strings may hold $(instance.name) and the like"
    )
    plans: list[Plan] = Field([], max_length=64)
    policies: Policies = Policies()
    metering: Metering = Metering()
    release: ReleaseTemplate = ReleaseTemplate()
    consumer_access: ConsumerAccess = ConsumerAccess()
    exports: list[Export] = Field([], max_length=64, description="Secrets that consumers need, such as passwords")


class ChartStatus(Model):
    name: str | None = None
    version: str | None = None
    app_version: str | None = None
    digest: str | None = None
    source: str | None = Field(None, description="Hash of the spec.chart that was fetched")


class ApiStatus(Model):
    crd: str | None = None
    documentation: str | None = Field(None, description="A ConfigMap in namespace chandlery, with a sample manifest")
    reserved: list[str] = Field([], description="Paths below parameters that consumers can't set all the same")
    versions: list[str] = Field([], description="All that are served, oldest first; the last is the one that is stored")
    status_edition: str | None = Field(None, description="Fingerprint of the schema that the status of instances has")


class InstanceCounts(Model):
    total: int = 0
    ready: int = 0
    failed: int = 0


class OfferingStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] = []
    chart: ChartStatus = ChartStatus()
    api: ApiStatus = ApiStatus()
    instances: InstanceCounts = InstanceCounts()


class ManagedFields(Model):
    time: datetime | None = None
    subresource: str | None = None


class Metadata(Model):
    name: str
    uid: str = ""
    namespace: str | None = None
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    finalizers: list[str] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    managed_fields: list[ManagedFields] = []

    @property
    def touched_at(self) -> datetime | None:
        """When somebody last wrote anything but the status."""
        times = [each.time for each in self.managed_fields if each.time and not each.subresource]
        return max(times, default=None)


class Offering(Model):
    metadata: Metadata
    spec: OfferingSpec
    status: OfferingStatus = OfferingStatus()

    @property
    def withdrawn(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def published(self) -> bool:
        """Whether the API as it stands in the spec is served from a chart that was verified for it."""
        ready = next((c for c in self.status.conditions if c.type == "Ready"), None)
        return ready is not None and ready.status == "True" and ready.observed_generation == self.metadata.generation

    @property
    def plural(self) -> str:
        return self.spec.api.plural or plural_of(self.spec.api.kind)

    @property
    def version(self) -> str:
        """The version that is served and stored; what the spec asks for may not be published yet, or never."""
        return self.status.api.versions[-1] if self.status.api.versions else self.spec.api.version

    @property
    def crd(self) -> str:
        return f"{self.plural}.{self.spec.api.group}"


def plural_of(kind: str) -> str:
    """The guess that Kubernetes' own tools make (meta.UnsafeGuessKindToResource)."""
    word = kind.lower()
    if word.endswith("s"):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") else word + "s"
