"""What is remembered of each object: only what its next state is compared with. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from events.base import InstanceKey
from shared import ownership
from shared.cluster import Object
from shared.resources import GROUP, Resource


def marks_of(annotations: Mapping[str, str]) -> str:
    """Our own annotations as one word; an annotation of anybody else says nothing to us."""
    ours = {name: value for name, value in annotations.items() if name.startswith(f"{GROUP}/")}
    return hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest()[:16] if ours else ""


@dataclass(frozen=True, slots=True)
class Seen:
    namespace: str
    name: str
    uid: str
    version: int
    generation: int = 0
    deleting: bool = False
    marks: str = ""

    @classmethod
    def of(cls, found: Object) -> Self:
        return cls(**metadata_of(found))

    @property
    def wish(self) -> tuple[int, bool, str]:
        """What somebody asked for. While it stays the same there is nothing to say."""
        return self.generation, self.deleting, self.marks


def metadata_of(found: Object) -> dict[str, Any]:
    metadata = found["metadata"]
    return {
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "version": int(metadata["resourceVersion"]),
        "generation": metadata.get("generation", 0),
        "deleting": "deletionTimestamp" in metadata,
        "marks": marks_of(metadata.get("annotations", {})),
    }


@dataclass(frozen=True, slots=True)
class Bound(Seen):
    """What bounds a release namespace, from its metadata alone: who wrote it last tells whether it was changed."""

    written: str = ""

    @classmethod
    def of(cls, found: Object) -> Self:
        fields = [each for each in found["metadata"].get("managedFields") or [] if not each.get("subresource")]
        told = json.dumps([[each.get(name) for name in ("manager", "operation", "time")] for each in fields])
        return cls(**metadata_of(found), written=told)


@dataclass(frozen=True, slots=True)
class Served(Seen):
    """The CRD of a consumer API, from its metadata alone."""

    offering: str = ""

    @classmethod
    def of(cls, found: Object) -> Self:
        return cls(**metadata_of(found), offering=found["metadata"]["labels"][ownership.OFFERING])


@dataclass(frozen=True, slots=True)
class Api:
    """The CRD of a consumer API, with all that is needed to watch its instances."""

    uid: str
    version: int
    offering: str
    resource: Resource
    established: bool

    @classmethod
    def of(cls, found: Object) -> Self:
        metadata, spec = found["metadata"], found["spec"]
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions") or []}
        names = spec["names"]
        stored = next(each["name"] for each in spec["versions"] if each["storage"])
        return cls(
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            offering=metadata["labels"][ownership.OFFERING],
            resource=Resource(spec["group"], stored, names["plural"], names["kind"]),
            established=conditions.get("Established") == "True",
        )

    @property
    def name(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}"

    @property
    def service(self) -> tuple[str, str, Resource] | None:
        """What is served under the API's name; the watch of its instances holds as long as this does."""
        return (self.uid, self.offering, self.resource) if self.established else None

    def succeeds(self, before: "Api") -> bool:
        """Whether these are the same instances in another version."""
        return (
            self.established
            and before.established
            and (self.uid, self.offering, self.name) == (before.uid, before.offering, before.name)
        )

    def key(self, instance: Seen) -> InstanceKey:
        return InstanceKey(
            offering=self.offering,
            group=self.resource.group,
            version=self.resource.version,
            plural=self.resource.plural,
            kind=self.resource.kind,
            namespace=instance.namespace,
            name=instance.name,
            uid=instance.uid,
        )


@dataclass(frozen=True, slots=True)
class Edition:
    """An Offering as its instances know it."""

    name: str
    uid: str
    version: int
    published: str | None
    """Which generation was published from which chart since when; None while it is not published as it stands."""

    @classmethod
    def of(cls, found: Object) -> Self:
        metadata, status = found["metadata"], found.get("status", {})
        generation, digest = metadata["generation"], status.get("chart", {}).get("digest")
        ready: dict[str, Any] = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})
        published = ready.get("status") == "True" and ready.get("observedGeneration") == generation
        edition = f"{generation}/{digest}/{ready.get('lastTransitionTime')}" if published else None
        return cls(metadata["name"], metadata["uid"], int(metadata["resourceVersion"]), edition)


@dataclass(frozen=True, slots=True)
class Release:
    """A release namespace, and whose it is."""

    name: str
    uid: str
    version: int
    deleting: bool
    instance: InstanceKey

    @classmethod
    def of(cls, found: Object) -> Self | None:
        """None for a namespace that only looks like one of ours."""
        metadata, instance = found["metadata"], ownership.instance_of(found)
        if instance is None:
            return None
        deleting = "deletionTimestamp" in metadata
        return cls(metadata["name"], metadata["uid"], int(metadata["resourceVersion"]), deleting, instance)
