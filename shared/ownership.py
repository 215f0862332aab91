"""Whose a release namespace is: told by its labels and annotations, and read back from them. Pure."""

import hashlib
import re
from typing import Any

from events.base import InstanceKey

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "chandlery"
UID = "chandlery.dev/instance-uid"
OFFERING = "chandlery.dev/offering"
NAME = "chandlery.dev/instance"
NAMESPACE = "chandlery.dev/instance-namespace"
API = "chandlery.dev/api"
PLAN = "chandlery.dev/plan"
"""The plan its instance is on; without plans there is none."""

_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_API = re.compile(r"(?P<plural>[^.]+)\.(?P<version>[^.]+)\.(?P<group>[^/]+)/(?P<kind>.+)")


def labels(key: InstanceKey) -> dict[str, str]:
    """For selecting; a name too long for a label stands in full in the annotations."""
    named = {OFFERING: key.offering, NAME: key.name, NAMESPACE: key.namespace}
    return {MANAGED_BY: MANAGER, UID: key.uid} | {label: shortened(value) for label, value in named.items()}


def annotations(key: InstanceKey) -> dict[str, str]:
    """All that the labels can't hold."""
    return {
        API: f"{key.plural}.{key.version}.{key.group}/{key.kind}",
        OFFERING: key.offering,
        NAME: key.name,
        NAMESPACE: key.namespace,
    }


def instance_of(namespace: dict[str, Any]) -> InstanceKey | None:
    """The instance a release namespace was made for; None when it is not one of ours."""
    metadata = namespace["metadata"]
    marked, told = metadata.get("labels", {}), metadata.get("annotations", {})
    api = _API.fullmatch(told.get(API, ""))
    if marked.get(MANAGED_BY) != MANAGER or UID not in marked or api is None:
        return None
    if any(name not in told for name in (OFFERING, NAME, NAMESPACE)):
        return None
    return InstanceKey(
        offering=told[OFFERING],
        namespace=told[NAMESPACE],
        name=told[NAME],
        uid=marked[UID],
        **api.groupdict(),
    )


def shortened(value: str) -> str:
    if _LABEL.fullmatch(value):
        return value
    return hashlib.sha256(value.encode()).hexdigest()[:32]
