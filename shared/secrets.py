"""Parameters that are given as a reference to a Secret beside the instance: read when needed, told to Helm alone."""

import base64
from collections.abc import Iterable, Mapping

from shared.cluster import Cluster, Object
from shared.errors import Refused
from shared.releases import SecretValue
from shared.resources import SECRETS
from shared.values import SecretReference


async def read_secrets(
    cluster: Cluster, references: Iterable[SecretReference], namespace: str
) -> dict[SecretReference, SecretValue]:
    """Raises Refused with what is missing."""
    found: dict[SecretReference, SecretValue] = {}
    for reference in references:
        secret = await cluster.get(SECRETS, reference.name, namespace)
        where = f"{reference.field}: namespace {namespace} has no Secret {reference.name}"
        if secret is None:
            raise Refused("SecretNotFound", f"{where}; this goes on by itself when it is there")
        found[reference] = value_of(secret, reference)
    return found


def value_of(secret: Object, reference: SecretReference) -> SecretValue:
    keys = secret.get("data") or {}
    if reference.key not in keys:
        there = ", ".join(sorted(keys)) or "none"
        raise Refused(
            "SecretNotFound", f"{reference.field}: Secret {reference.name} has no key {reference.key}: {there}"
        )
    try:
        text = base64.b64decode(keys[reference.key]).decode()
    except UnicodeDecodeError:
        what = f"key {reference.key} of Secret {reference.name} is no text, and a chart's values are"
        raise Refused("InvalidSecret", f"{reference.field}: {what}") from None
    metadata = secret["metadata"]
    return SecretValue(text, f"{metadata['uid']}/{metadata['resourceVersion']}")


async def versions_now(
    cluster: Cluster, references: Iterable[SecretReference], namespace: str
) -> dict[str, str] | None:
    """Of the Secrets by their names; None when one is missing."""
    try:
        return versions(await read_secrets(cluster, references, namespace))
    except Refused:
        return None


def versions(secrets: Mapping[SecretReference, SecretValue]) -> dict[str, str]:
    return {reference.name: secret.version for reference, secret in secrets.items()}
