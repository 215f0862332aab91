"""What an instance's release is called, and what it is made from. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import Refused
from shared.instance import Instance
from shared.offering import Offering, Values
from shared.placement import placement
from shared.values import SecretReference, release_values, substitute

NAMESPACE_LIMIT = 63
RELEASE_LIMIT = 53  # Helm's
HASH_LENGTH = 6


@dataclass(frozen=True)
class Release:
    """What Helm is asked for. `inputs` names all of it: same inputs, same release."""

    namespace: str
    name: str
    chart_digest: str
    values: Values = field(repr=False)
    timeout: str
    inputs: str
    secret_versions: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values the consumer keeps in Secrets; nothing that people read may hold them."""


@dataclass(frozen=True)
class SecretValue:
    value: str = field(repr=False)
    version: str


def words(offering: Offering, instance: Instance) -> dict[str, str]:
    """What $(...) stands for, as far as it is known before the release has a name."""
    return {
        "instance.name": instance.metadata.name,
        "instance.namespace": instance.metadata.namespace or "",
        "instance.uid": instance.metadata.uid,
        "offering.name": offering.metadata.name,
    }


def namespace_for(offering: Offering, instance: Instance) -> str:
    """Once told, for ever: a later change of the template must not move a living instance."""
    if instance.status.release.namespace:
        return instance.status.release.namespace
    text = substitute(offering.spec.release.namespace, words(offering, instance), "spec.release.namespace")
    return named(text, instance.metadata.uid, NAMESPACE_LIMIT, always_unique=True)


def name_for(offering: Offering, instance: Instance) -> str:
    if instance.status.release.name:
        return instance.status.release.name
    text = substitute(offering.spec.release.name, words(offering, instance), "spec.release.name")
    return named(text, instance.metadata.uid, RELEASE_LIMIT)


def named(text: str, unique: str, limit: int, *, always_unique: bool = False) -> str:
    """A DNS label of at most `limit` characters; what is cut or changed is made up for by a hash of `unique`."""
    label = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if label and label == text and len(label) <= limit and not always_unique:
        return label
    suffix = hashlib.sha256(unique.encode()).hexdigest()[:HASH_LENGTH]
    kept = label[: limit - HASH_LENGTH - 1].rstrip("-")
    return f"{kept}-{suffix}" if kept else f"r-{suffix}"


def release_for(
    offering: Offering, instance: Instance, secrets: Mapping[SecretReference, SecretValue] | None = None
) -> Release:
    """Of a Secret its version is an input, not its value: a hash of that could be tried out."""
    digest = offering.status.chart.digest
    if digest is None:
        raise Refused("OfferingNotReady", f"the chart of offering {offering.metadata.name} is not registered yet")
    namespace, name = namespace_for(offering, instance), name_for(offering, instance)
    known = words(offering, instance) | {"release.name": name, "release.namespace": namespace}
    given = secrets or {}
    values = release_values(offering, instance.spec, known, {each: found.value for each, found in given.items()})
    told = release_values(offering, instance.spec, known, {each: found.version for each, found in given.items()})
    where = placement(offering.spec.policies.pods)
    made_from = json.dumps([digest, namespace, name, told, *([where] if where else [])], sort_keys=True)
    inputs = hashlib.sha256(made_from.encode()).hexdigest()[:32]
    versions = {each.name: found.version for each, found in given.items()}
    secret = tuple(found.value for found in given.values())
    return Release(namespace, name, digest, values, offering.spec.release.timeout, inputs, versions, secret)
