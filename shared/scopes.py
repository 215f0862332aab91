"""Kinds by the names people give them: which resources of the API they are. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.chart_rights import Known
from shared.errors import Refused
from shared.rights import Kind

FIELD = "spec.policies.clusterScoped"


def cluster_scoped(
    wanted: Iterable[str], discovery: Iterable[Mapping[str, Any]], crds: Iterable[Mapping[str, Any]]
) -> set[Kind]:
    """Of those the API server serves, or the chart's own CRDs make. A name that several groups have means all of
    them, Kind.group only one.

    Raises Refused for a kind that is not there, or lives in namespaces: nobody needs to allow that.
    """
    served = [*_served(discovery), *_brought(crds)]
    found: set[Kind] = set()
    for index, kind in enumerate(wanted):
        named = [(scope, group, plural) for name, scope, group, plural in served if kind in (name, f"{name}.{group}")]
        hits = {(group, plural) for scope, group, plural in named if scope == "Cluster"}
        if not hits:
            why = "lives in namespaces and is always allowed: take it out" if named else "is not served by this cluster"
            fix = "" if named else "; write it as in manifests, such as ClusterRole, or install its CRD"
            raise Refused("UnknownKind", f"{FIELD}[{index}]: {kind} {why}{fix}")
        found |= hits
    return found


def brought(crds: Iterable[Mapping[str, Any]], scope: str | None = None) -> set[Kind]:
    return {(group, plural) for _, found, group, plural in _brought(crds) if scope in (None, found)}


def known(discovery: Iterable[Mapping[str, Any]], crds: Iterable[Mapping[str, Any]]) -> list[Known]:
    """Every kind that is served, or will be when the chart's own CRDs are there."""
    found = [*_served(discovery), *_brought(crds)]
    return [Known(kind, group, plural, scope == "Namespaced") for kind, scope, group, plural in found]


def _served(discovery: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for group in discovery:
        for version in group.get("versions") or []:
            for each in version.get("resources") or []:
                kind = (each.get("responseKind") or {}).get("kind", "")
                yield kind, each.get("scope", ""), group["metadata"].get("name", ""), each["resource"]


def _brought(crds: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for crd in crds:
        spec = crd["spec"]
        yield spec["names"]["kind"], spec.get("scope", ""), spec["group"], spec["names"]["plural"]
