"""CRDs in a chart's crds/: made when the chart is registered, shared between Offerings, never taken from anybody.

Helm runs as an account of one namespace, which may make no CRDs; so it passes them over (--skip-crds). All of them are
made, also those of subcharts that a condition may switch off: which ones are on is different for each instance.

A CRD that we made says so by a label. Each Offering that brings it is an annotation on it, with its chart's version:
the schema is that of the newest chart, also when that one's Offering is gone. A CRD without the label is somebody
else's: it is used as it is. Charts of different names are compared by version all the same: nothing better is known.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from shared import documents, ownership, semver
from shared.charts import Chart
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Conflict, Invalid, NotFound, Refused, RetryLater
from shared.offering import DNS_LABEL, DNS_SUBDOMAIN, Offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, GROUP, Resource

KIND = CUSTOM_RESOURCE_DEFINITIONS.kind
LABEL = "chandlery.dev/brought-by-charts"
BRINGER = "offering.chandlery.dev/"
APPLIED = "chandlery.dev/chart-version"
MANAGER = "chart-crds"
NODES = 1_000_000
"""YAML nodes of all CRDs of a chart. Those of the largest public charts have about a quarter of that."""
LIMIT = 200
ESTABLISH_SECONDS = 10
NAMED = 5
WORD = r"^[A-Za-z][A-Za-z0-9]*$"

Step = Literal["apply", "join", "use"]


def crds_of(chart: Chart) -> dict[str, Object]:
    """By name. Raises Refused. Takes seconds for large ones: call it in a thread."""
    found: dict[str, Object] = {}
    left = NODES
    for path, content in sorted(chart.crds.items()):
        loaded, nodes = documents.load(content, path, left)
        left -= nodes
        for document in _documents(loaded):
            name = _checked(document, path)
            found[name] = {key: value for key, value in document.items() if key != "status"}
    if len(found) > LIMIT:
        raise Refused("InvalidCrd", f"spec.chart: brings {len(found)} CRDs in crds/, {LIMIT} are allowed; split it")
    return found


def _documents(loaded: list[Any]) -> Iterator[Any]:
    for document in loaded:
        if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
            yield from document["items"]
        elif document:
            yield document


def _checked(crd: Any, path: str) -> str:
    """The name of something that is a CRD as far as we look into it."""
    if not isinstance(crd, dict) or crd.get("kind") != KIND:
        raise Refused("InvalidCrd", f"{path}: holds something other than a {KIND}; move it to templates/")
    if crd.get("apiVersion") != CUSTOM_RESOURCE_DEFINITIONS.api_version:
        served = CUSTOM_RESOURCE_DEFINITIONS.api_version
        raise Refused(
            "InvalidCrd", f"{path}: apiVersion {crd.get('apiVersion')!r} is not served any more; use {served}"
        )
    metadata, spec = crd.get("metadata"), crd.get("spec")
    names = spec.get("names") if isinstance(spec, dict) else None
    versions = spec.get("versions") if isinstance(spec, dict) else None
    if not (isinstance(metadata, dict) and isinstance(spec, dict) and isinstance(names, dict)):
        raise Refused("InvalidCrd", f"{path}: has no metadata and spec.names; generate it again")
    if not isinstance(versions, list) or not all(isinstance(each, dict) for each in versions):
        raise Refused("InvalidCrd", f"{path}: spec.versions must be a list")
    for field, text, form in (
        ("spec.group", spec.get("group"), DNS_SUBDOMAIN),
        ("spec.names.plural", names.get("plural"), DNS_LABEL),
        ("spec.names.kind", names.get("kind"), WORD),
    ):
        if not isinstance(text, str) or len(text) > 253 or not re.match(form, text) or not text.isprintable():
            raise Refused("InvalidCrd", f"{path}: {field} is missing, or not what Kubernetes takes for one")
    wanted = f"{names['plural']}.{spec['group']}"
    if metadata.get("name") != wanted:
        raise Refused("InvalidCrd", f"{path}: metadata.name must be {wanted}")
    return wanted


def step_for(crd: Object, existing: Object | None, offering: str, version: str) -> Step:
    """What to do about one CRD of a chart. Raises Refused when it may not be had."""
    name, group = crd["metadata"]["name"], str(crd["spec"]["group"])
    labels = (existing or {}).get("metadata", {}).get("labels") or {}
    if group == GROUP or group.endswith(f".{GROUP}") or ownership.OFFERING in labels:
        raise Refused("ClusterScopedObject", f"spec.chart: {name} in crds/ is a kind of Chandlery's own; take it out")
    if existing and LABEL not in labels:
        return "use"
    if any(group == each or group.endswith(f".{each}") for each in ("k8s.io", "kubernetes.io")):
        fix = "have the cluster's administrator install it"
        raise Refused("ClusterScopedObject", f"spec.chart: {name} in crds/ is a kind of Kubernetes' own; {fix}")
    if existing is None:
        return "apply"
    others = [each for each, brought in bringers(existing).items() if brought == version and each != offering]
    applied = (existing["metadata"].get("annotations") or {}).get(APPLIED, "")
    ours, theirs = semver.order(version), semver.order(applied)
    if ours is None or theirs is None or ours > theirs:
        return "apply"
    return "apply" if ours == theirs and not others else "join"


def bringers(crd: Object) -> dict[str, str]:
    """Offerings that bring it, with their charts' versions."""
    annotations: dict[str, str] = crd["metadata"].get("annotations") or {}
    return {key.removeprefix(BRINGER): value for key, value in annotations.items() if key.startswith(BRINGER)}


def listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


async def plan(cluster: Cluster, offering: Offering, chart: Chart, crds: Mapping[str, Object]) -> dict[str, Step]:
    """Raises Refused before anything is made."""
    existing = {name: await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name) for name in crds}
    return {name: step_for(crd, existing[name], offering.metadata.name, chart.version) for name, crd in crds.items()}


async def bring(cluster: Cluster, offering: Offering, chart: Chart, crds: Mapping[str, Object]) -> None:
    """Make them, and wait until they are served."""
    for name, crd in crds.items():
        existing = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
        step = step_for(crd, existing, offering.metadata.name, chart.version)
        if step != "use":
            await _put(cluster, crd, existing, step, offering.metadata.name, chart.version)
    for name in crds:
        await _established(cluster, name)


async def _put(cluster: Cluster, crd: Object, existing: Object | None, step: Step, offering: str, version: str) -> None:
    name = crd["metadata"]["name"]
    metadata = (existing or {}).get("metadata", {})
    if metadata.get("deletionTimestamp"):
        raise RetryLater(f"{name} is being deleted", after=2)
    bringer = {BRINGER + offering: version}
    try:
        if step == "apply":
            wanted = labelled(crd, version, {} if existing else bringer, metadata.get("resourceVersion"))
            await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, wanted, MANAGER)
        # A manager for each Offering: what one says of itself is never lost when another one applies the schema.
        named = {"metadata": {"name": name, "annotations": bringer}}
        await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, named, f"{MANAGER}-{offering}")
    except Conflict as conflict:
        raise RetryLater(f"{name} is changed by another Offering just now") from conflict
    except Invalid as invalid:
        why = f"the API server refuses {name}: {invalid.message[:500]}"
        raise Refused("InvalidCrd", f"spec.chart: crds/: {why}") from invalid


def labelled(crd: Object, version: str, bringer: Mapping[str, str], resource_version: str | None) -> Object:
    """As the chart has it, and whose it is. With a resourceVersion it replaces only what was looked at."""
    given = crd["metadata"]
    metadata: Object = {
        "name": given["name"],
        "labels": {**_foreign(given.get("labels")), LABEL: "true"},
        "annotations": {**_foreign(given.get("annotations")), APPLIED: version, **bringer},
    }
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return {**crd, "metadata": metadata}


def _foreign(words: Any) -> dict[str, Any]:
    """Without what only we may say."""
    named = words.items() if isinstance(words, dict) else ()
    return {key: value for key, value in named if not key.partition("/")[0].endswith(GROUP)}


async def _established(cluster: Cluster, name: str) -> None:
    try:
        async with asyncio.timeout(ESTABLISH_SECONDS):
            while True:
                crd = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
                conditions = (crd or {}).get("status", {}).get("conditions") or []
                told = {each["type"]: each for each in conditions}
                accepted = told.get("NamesAccepted", {})
                if accepted.get("status") == "False":
                    why = f"{name} is not accepted: {accepted.get('message')}"
                    raise Refused("NameTaken", f"spec.chart: crds/: {why}; another kind of that name is there")
                if told.get("Established", {}).get("status") == "True":
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RetryLater(f"{name} is not established yet") from None


async def brought_by(cluster: Cluster, offering: Offering) -> set[tuple[str, str]]:
    """Group and plural of each kind that its chart brought, as the CRDs' names have it."""
    found = (await cluster.list(CUSTOM_RESOURCE_DEFINITIONS, labels={LABEL: ""}, metadata_only=True))["items"]
    names = [each["metadata"]["name"].partition(".") for each in found if offering.metadata.name in bringers(each)]
    return {(group, plural) for plural, _, group in names}


async def leave(cluster: Cluster, offering: str, keep: Mapping[str, Object] | None = None) -> list[str]:
    """Give up the CRDs that the Offering brought, but for those it keeps; what stands in the way of the last ones.

    One that another Offering brings stays, and so does one of which there are objects.
    """
    found = (await cluster.list(CUSTOM_RESOURCE_DEFINITIONS, labels={LABEL: ""}, metadata_only=True))["items"]
    ours = [each["metadata"]["name"] for each in found if offering in bringers(each)]
    told = [await _leave(cluster, name, offering) for name in ours if name not in (keep or {})]
    return [each for each in told if each]


async def _leave(cluster: Cluster, name: str, offering: str) -> str | None:
    crd = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
    if crd is None or crd["metadata"].get("deletionTimestamp"):
        return None
    metadata = crd["metadata"]
    try:
        if set(bringers(crd)) - {offering}:
            path = f"/metadata/annotations/{BRINGER.replace('/', '~1')}{offering}"
            await cluster.patch(CUSTOM_RESOURCE_DEFINITIONS, name, [{"op": "remove", "path": path}])
            return None
        if objects := await _objects(cluster, crd):
            return f"{len(objects)} object{'s' if len(objects) > 1 else ''} of {name}: {listed(objects)}"
        seen = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, name, preconditions=seen)
    except (Conflict, Invalid) as changed:
        raise RetryLater(f"{name} is changed by another Offering just now") from changed
    return None


async def _objects(cluster: Cluster, crd: Object) -> list[str]:
    spec = crd["spec"]
    served = [each["name"] for each in spec["versions"] if each.get("served")]
    if not served:
        return []
    kind = Resource(spec["group"], served[0], spec["names"]["plural"], spec["names"]["kind"])
    try:
        found = (await cluster.list(kind, metadata_only=True))["items"]
    except NotFound:
        return []
    except ApiError as error:
        if error.status == 403:
            raise RetryLater(f"the right to list {spec['names']['plural']} is not in force yet") from error
        raise
    metadata = [each["metadata"] for each in found]
    return [f"{each['namespace']}/{each['name']}" if each.get("namespace") else each["name"] for each in metadata]
