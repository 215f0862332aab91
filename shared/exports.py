"""Secrets of a release, copied beside the instance for its consumer. Pure: Offering, instance and Secrets in, copies
out. What they hold is shown nowhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from events.base import InstanceKey
from shared import ownership
from shared.errors import Refused
from shared.grants import Released, words
from shared.offering import Export, Offering
from shared.values import substitute

Object = dict[str, Any]

SOURCE = "chandlery.dev/copied-from"


@dataclass(frozen=True)
class Copy:
    """What is to be copied, and how the copy is called."""

    field: str
    export: Export
    source: str
    name: str


def copies(offering: Offering, release: Released) -> list[Copy]:
    known = words(release)
    return [
        Copy(
            f"spec.exports[{index}]",
            export,
            substitute(export.secret, known, f"spec.exports[{index}].secret"),
            f"{release.instance.name}-{export.name}",
        )
        for index, export in enumerate(offering.spec.exports)
    ]


def copied(copy: Copy, source: Object | None, key: InstanceKey) -> Object:
    """The copy as it should be; raises Refused with what is missing."""
    if source is None:
        what = f"the release has no Secret {copy.source}"
        raise Refused("SecretNotFound", f"{copy.field}.secret: {what}; this goes on by itself when it is there")
    data = source.get("data") or {}
    if missing := sorted(set(copy.export.keys or ()) - set(data)):
        what = f"Secret {copy.source} has no key {', '.join(missing)}"
        raise Refused("KeyNotFound", f"{copy.field}.keys: {what}; name keys that it has")
    kept = {name: value for name, value in data.items() if copy.export.keys is None or name in copy.export.keys}
    metadata = {
        "name": copy.name,
        "namespace": key.namespace,
        "labels": ownership.labels(key),
        "annotations": {SOURCE: f"{source['metadata']['namespace']}/{copy.source}"},
        "ownerReferences": [owner(key)],
    }
    return {"metadata": metadata, "type": "Opaque", "data": kept}


def owner(key: InstanceKey) -> Object:
    return {"apiVersion": f"{key.group}/{key.version}", "kind": key.kind, "name": key.name, "uid": key.uid}


def is_ours(secret: Object, key: InstanceKey) -> bool:
    return (secret["metadata"].get("labels") or {}).get(ownership.UID) == key.uid


def stands(there: Object, wanted: Object) -> bool:
    """Whether the copy is as it should be; somebody else may have put labels of his own on it."""
    labels, annotations = (there["metadata"].get(part) or {} for part in ("labels", "annotations"))
    owned = {each["uid"] for each in there["metadata"].get("ownerReferences") or []}
    return (
        (there.get("data") or {}) == wanted["data"]
        and wanted["metadata"]["labels"].items() <= labels.items()
        and wanted["metadata"]["annotations"].items() <= annotations.items()
        and all(each["uid"] in owned for each in wanted["metadata"]["ownerReferences"])
    )


def no_longer(before: Iterable[str], now: Iterable[Copy]) -> list[str]:
    """Names of copies that nobody asks for any more."""
    return sorted({*before} - {copy.name for copy in now})
