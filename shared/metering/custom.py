"""Metrics of an Offering's own, from what its pods tell Prometheus. Pure; the text is as untrusted as the chart."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime
from math import isfinite
from typing import NamedTuple
from urllib.parse import quote

from prometheus_client.parser import text_string_to_metric_families

from events.readings import CUSTOM
from shared.manifests import items, mapping
from shared.metering.measured import Measured
from shared.metering.owners import Object, Owner, life, moment

MOST_LINES = 10_000
LONGEST_LINE = 4096
COUNTING = ("_total", "_count", "_sum", "_bucket")


class Target(NamedTuple):
    """What is asked of one container; a counter of it begins at zero whenever the container starts."""

    uid: str
    namespace: str
    pod: str
    port: int
    path: str
    names: frozenset[str]
    node: str
    started: datetime | None

    @property
    def url(self) -> str:
        """Through the API server, which knows the pod's address; what the pod answers can lead nowhere else."""
        pod = f"/api/v1/namespaces/{quote(self.namespace)}/pods/http:{quote(self.pod)}:{self.port}/proxy"
        return pod + quote(self.path)


def targets(pod: Object, owner: Owner) -> Iterator[Target]:
    metadata, spec, status = pod["metadata"], mapping(pod.get("spec")), mapping(pod.get("status"))
    if not owner.custom or status.get("phase") != "Running":
        return
    running = {
        each.get("name"): moment(mapping(mapping(each.get("state")).get("running")).get("startedAt"))
        for each in items(status.get("containerStatuses"))
    }
    asked: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    for metric in owner.custom:
        for container in items(spec.get("containers")):
            for port in items(container.get("ports")):
                number = port.get("containerPort")
                if isinstance(number, int) and metric.port in (port.get("name"), str(number)):
                    asked[container["name"], number, metric.path].add(metric.name)
    for (name, number, path), names in asked.items():
        since = running.get(name)
        uid = life(f"{metadata['uid']}/{name}", since)
        where = (uid, metadata["namespace"], metadata["name"], number, path)
        yield Target(*where, frozenset(names), spec.get("nodeName", ""), since)


def of_target(target: Target, owner: Owner, text: str, now: datetime) -> Measured:
    found = Measured()
    for name, (counting, value) in sorted(parsed(text, target.names).items()):
        found.read(target.uid, "pod", CUSTOM + name, now, value, counter=counting)
    if found.readings:
        told = {"uid": target.uid, "kind": "pod", "name": target.pod, "namespace": target.namespace}
        found.tell(**told, node=target.node, started_at=target.started, seen_last=now, **owner.tenure)
    return found


def parsed(text: str, names: Collection[str]) -> dict[str, tuple[bool, float]]:
    """By name: whether it is a counter, and its sum over all labels."""
    found: dict[str, tuple[bool, float]] = {}
    try:
        for family in text_string_to_metric_families("\n".join(_of_interest(text, names)) + "\n"):
            for sample in family.samples:
                if sample.name in names and isfinite(sample.value):
                    counting = family.type == "counter" or (family.type != "gauge" and sample.name.endswith(COUNTING))
                    found[sample.name] = (counting, found.get(sample.name, (counting, 0.0))[1] + sample.value)
    except Exception:  # the parser raises whatever its code ran into
        return {}
    return found


def _of_interest(text: str, names: Collection[str]) -> Iterator[str]:
    """Only these lines are parsed: it takes a second for a megabyte."""
    starts = tuple(f"{name}{end}" for name in names for end in ("{", " ", "\t"))
    stems = {name.removesuffix(end) for name in names for end in ("", *COUNTING)}
    types = tuple(f"# TYPE {name} " for name in stems)
    wanted = (line for line in text.splitlines() if len(line) <= LONGEST_LINE and line.startswith(starts + types))
    for line, _ in zip(wanted, range(MOST_LINES), strict=False):
        yield line
