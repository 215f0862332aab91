"""An instance: an object of a generated kind, as every function sees it."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from events.base import InstanceKey
from shared import finalizers
from shared.conditions import Condition, find
from shared.offering import InstanceCounts, Metadata, Model, Offering


class ReleaseStatus(Model):
    namespace: str | None = None
    name: str | None = None
    revision: int | None = None
    chart: str | None = None
    version: str | None = None
    digest: str | None = None
    inputs: str | None = Field(None, description="Hash of all that the deployed revision was made from")
    offering_generation: int | None = None
    deployed_at: str | None = None
    resources: list[str] = Field([], description="What the chart made in the release namespace, as kind.group/name")
    failures: int | None = Field(None, description="How often in a row these inputs have failed")
    failed_inputs: str | None = None
    secret_versions: dict[str, str] = Field({}, description="Of the Secrets that parameters were read from")
    retry_at: str | None = Field(None, description="Not tried again before, unless something changes")


class Endpoint(Model):
    name: str
    url: str


class InstanceStatus(Model):
    observed_generation: int | None = None
    conditions: list[Condition] = []
    release: ReleaseStatus = ReleaseStatus()
    endpoints: list[Endpoint] = []
    ready_revision: int | None = Field(None, description="The newest revision whose workloads were all ready")
    notes: str | None = None
    exports: list[str] = Field([], description="Secrets beside the instance that were copied from its release")
    usage: dict[str, Any] = Field({}, description="What it used in the last hour; report_usage says it")


class Instance(Model):
    metadata: Metadata
    spec: dict[str, Any] = {}
    status: InstanceStatus = InstanceStatus()

    @property
    def withdrawn(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def generation(self) -> int:
        return self.metadata.generation

    def condition(self, kind: str) -> Condition | None:
        return find(self.status.conditions, kind)

    def holds(self, kind: str) -> bool:
        """Whether the condition is True for the spec as it stands."""
        found = self.condition(kind)
        return found is not None and found.true and found.observed_generation == self.generation


def address(key: InstanceKey) -> dict[str, Any]:
    """The metadata of an apply that must never make, or touch, another object than this very one."""
    return {"name": key.name, "namespace": key.namespace, "uid": key.uid}


def as_offered(key: InstanceKey, offering: Offering | None) -> InstanceKey:
    """The key in the version that the Offering's parameters speak of: an event may be older than that, and values read
    in another version would be looked for under other names."""
    return key.model_copy(update={"version": offering.spec.api.version}) if offering and offering.published else key


def settled(instance: Instance, offering: Offering) -> bool:
    """Whether every step up to the release was taken for the instance and the Offering as they stand."""
    return (
        finalizers.RELEASE in instance.metadata.finalizers
        and all(instance.holds(kind) for kind in ("Accepted", "Isolated", "Deployed"))
        and instance.status.release.offering_generation == offering.metadata.generation
        and instance.status.release.digest == offering.status.chart.digest
    )


def count(instances: Iterable[Instance]) -> InstanceCounts:
    """An instance that is merely on its way is neither ready nor failed."""
    total = ready = failed = 0
    for instance in instances:
        total += 1
        found = instance.condition("Ready")
        ready += found is not None and found.true
        failed += found is not None and found.status == "False" and found.reason not in ("Progressing", "Removing")
    return InstanceCounts(total=total, ready=ready, failed=failed)
