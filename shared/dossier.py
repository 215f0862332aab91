"""The ConfigMap `offering-<name>` beside an Offering: what was found in its chart, for people and for previews.

Each function writes its own keys under its own name; it goes when the Offering goes.
"""

from collections.abc import Callable
from typing import Any

from shared import ownership
from shared.check import Checked
from shared.cluster import Cluster, Object
from shared.crds import to_yaml
from shared.demand import Amounts
from shared.offering import Metadata
from shared.orders import generic
from shared.quantities import shown
from shared.resources import CONFIG_MAPS, OFFERINGS, SYSTEM_NAMESPACE

SAMPLE = "sample.yaml"
FINDINGS = "findings.yaml"
PARAMETERS = "parameters.yaml"
SUMMARY = "summary"
MAKES = "makes.json"
RIGHTS = "rights.json"
CHECKED = "chandlery.dev/checked"
MAPPED = "chandlery.dev/mapped"
FINDINGS_LIMIT = 250_000
PARAMETERS_LIMIT = 600_000
"""Bytes; together, and with what server-side apply notes, they stay below a ConfigMap's one megabyte."""
NAMED = 3


def name_of(offering: Metadata) -> str:
    return f"offering-{offering.name}"


async def read(cluster: Cluster, offering: Metadata) -> Object:
    """Empty when there is none, or when it belonged to an Offering of the same name that is gone."""
    found = await cluster.get(CONFIG_MAPS, name_of(offering), SYSTEM_NAMESPACE) or {}
    owners = found.get("metadata", {}).get("ownerReferences") or []
    return found if any(owner["uid"] == offering.uid for owner in owners) else {}


def stands(found: Object, annotation: str, key: str) -> bool:
    """Whether it was made from the same things."""
    return (found.get("metadata", {}).get("annotations") or {}).get(annotation) == key


async def write(
    cluster: Cluster, offering: Metadata, by: str, data: dict[str, str], annotations: dict[str, str] | None = None
) -> None:
    owner = {
        "apiVersion": OFFERINGS.api_version,
        "kind": OFFERINGS.kind,
        "name": offering.name,
        "uid": offering.uid,
    }
    metadata = {
        "name": name_of(offering),
        "namespace": SYSTEM_NAMESPACE,
        "labels": {
            ownership.MANAGED_BY: ownership.MANAGER,
            ownership.OFFERING: ownership.shortened(offering.name),
        },
        **({"annotations": annotations} if annotations else {}),
        "ownerReferences": [owner],
    }
    await cluster.apply(CONFIG_MAPS, {"metadata": metadata, "data": data}, by)


def findings_document(checked: Checked) -> dict[str, Any]:
    told: dict[str, Any] = generic(_findings(checked), checked.release) if checked.release else _findings(checked)
    return told


def _findings(checked: Checked) -> dict[str, Any]:
    found = checked.findings
    said: dict[str, Any] = {"warnings": checked.warnings, "nonDeterministic": checked.unstable}
    if found is None:
        return said
    return said | {
        "images": [*found.images],
        "hooks": [{"object": hook.object, "events": [*hook.events], "weight": hook.weight} for hook in found.hooks],
        "rbac": [
            {"object": one.object, "grants": [*one.grants], **({"broad": [*one.broad]} if one.broad else {})}
            for one in found.rbac
        ],
        "storageClasses": [
            {"object": one.object, "class": "(the cluster's default)" if one.name is None else one.name}
            for one in found.storage
        ],
        "requests": {"total": amounts(found.demand.total), "by": by_object(found.demand.by)},
        "objects": [*found.objects],
        "tests": [*found.tests],
    }


def by_object(by: dict[str, Amounts]) -> dict[str, dict[str, str]]:
    told = {name: amounts({key: each for key, each in one.items() if each}) for name, one in by.items()}
    return {name: one for name, one in told.items() if one}


def amounts(found: Amounts) -> dict[str, str]:
    """Numbers of objects are left out: they are listed."""
    told = {key: amount for key, amount in found.items() if key.startswith(("requests.", "limits.")) or key == "pods"}
    return {key: shown(amount, key) for key, amount in sorted(told.items())}


def summary(checked: Checked) -> str:
    """What ChartReady says besides."""
    parts = []
    if checked.unstable:
        more = f" and {len(checked.unstable) - NAMED} more" if len(checked.unstable) > NAMED else ""
        fields = ", ".join(checked.unstable[:NAMED]) + more
        parts.append(
            f"differs from render to render: {fields}; it is upgraded only when spec, Offering or chart changed"
        )
    if checked.warnings:
        more = f" (and {len(checked.warnings) - 1} more warnings)" if len(checked.warnings) > 1 else ""
        parts.append(f"warning: {checked.warnings[0][:300]}{more}")
    text = "; ".join(parts)
    return str(generic(text, checked.release)) if checked.release else text


def fitted(document: dict[str, Any], limit: int, to_text: Callable[..., str] = to_yaml) -> str:
    """As YAML of at most `limit` bytes; the longest lists and maps are cut, and say by how much."""
    longest = 100_000
    text = to_text(document)
    while len(text.encode()) > limit and longest > 1:
        longest //= 4
        text = to_text(cut(document, longest))
    if len(text.encode()) <= limit:
        return text
    return to_text({"leftOut": f"everything: it would have more than {limit} bytes"})


def cut(value: Any, longest: int) -> Any:
    if isinstance(value, dict):
        kept = {key: cut(below, longest) for key, below in [*value.items()][:longest]}
        return kept | ({"...": f"{len(value) - longest} more were left out"} if len(value) > longest else {})
    if isinstance(value, list):
        kept_items = [cut(entry, longest) for entry in value[:longest]]
        return kept_items + ([f"... {len(value) - longest} more were left out"] if len(value) > longest else [])
    if isinstance(value, str) and len(value) > longest + 200:
        return f"{value[: longest + 200]}..."
    return value
