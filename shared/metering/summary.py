"""What a kubelet's /stats/summary says of release namespaces, as readings and whose they are. Pure.

All of it is from outside: fields may be missing or odd, and are then left out. Times are the kubelet's own: the same
sample read twice is the same reading.

A pod is several subjects. What its cgroup counts (CPU) goes on when its sandbox is made anew, so the pod counts since
it was started. What its network namespace counts begins at zero with each sandbox, so each sandbox is a subject of its
own: times come in whole seconds, and one counter with two starts would count a sample twice that falls into the second
of a start. A volume is its claim, whoever has it mounted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from events.readings import (
    CAPACITY_CPU,
    CAPACITY_MEMORY,
    CPU,
    EPHEMERAL_STORAGE,
    INSTANCE_PRESENT,
    LIMITS_CPU,
    LIMITS_MEMORY,
    MEMORY,
    NETWORK_RECEIVED,
    NETWORK_TRANSMITTED,
    REQUESTS_CPU,
    REQUESTS_MEMORY,
    RESTARTS,
    VOLUME_CAPACITY,
    VOLUME_USED,
)
from shared.demand import of_pod
from shared.manifests import items, mapping
from shared.metering.measured import Measured
from shared.metering.owners import Object, Owner, Owners, life, moment
from shared.offering import Pods
from shared.quantities import quantity

Claims = Mapping[tuple[str, str], Object]
"""By namespace and name."""

ASKED = {
    "cpu": {"requests.cpu": REQUESTS_CPU, "limits.cpu": LIMITS_CPU},
    "memory": {"requests.memory": REQUESTS_MEMORY, "limits.memory": LIMITS_MEMORY},
}


def by_name(found: Iterable[Object]) -> dict[tuple[str, str], Object]:
    return {(each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in found}


def of_node(node: str, summary: object, pods: Iterable[Object], owners: Owners, claims: Claims) -> Measured:
    """`pods` as the API server knows them: those that the kubelet knows and it does not are read all the same."""
    found = Measured()
    known = {each["metadata"]["uid"]: each for each in pods}
    read: set[tuple[str, str]] = set()
    for stats in items(mapping(summary).get("pods")):
        reference = mapping(stats.get("podRef"))
        uid, name, namespace = (reference.get(part) for part in ("uid", "name", "namespace"))
        if not isinstance(namespace, str) or (owner := owners.get(namespace)) is None:
            continue
        if not (isinstance(uid, str) and uid and isinstance(name, str)):
            found.odd += 1
            continue
        _pod(found, owner, {"name": name, "namespace": namespace, "node": node}, uid, stats, known.get(uid, {}))
        if "storage" in owner.metrics:
            _volumes(found, owner, namespace, stats, claims, read)
    return found


def capacity(node: Object, summary: object) -> Measured:
    """What the node has to give, and all that is used on it: what the sum of its pods is held against."""
    found, metadata = Measured(), node["metadata"]
    stats, has = mapping(mapping(summary).get("node")), mapping(mapping(node.get("status")).get("capacity"))
    cpu, memory = mapping(stats.get("cpu")), mapping(stats.get("memory"))
    uid, seen = metadata["uid"], moment(cpu.get("time")) or moment(memory.get("time"))
    if seen is None:
        found.odd += 1
        return found
    found.read(uid, "node", CPU, moment(cpu.get("time")), cpu.get("usageCoreNanoSeconds"))
    found.read(uid, "node", MEMORY, moment(memory.get("time")), memory.get("workingSetBytes"))
    found.read(uid, "node", CAPACITY_CPU, seen, _units("cpu", has.get("cpu")))
    found.read(uid, "node", CAPACITY_MEMORY, seen, _units("memory", has.get("memory")))
    name = metadata["name"]
    found.tell(uid=uid, kind="node", name=name, node=name, seen_last=seen)
    return found


def of_cluster(owners: Owners, claims: Iterable[Object], now: datetime) -> Measured:
    """What needs no kubelet: that instances are there, and what their claims hold, mounted or not."""
    found = Measured()
    for owner in owners.values():
        if owner.leaving:
            continue
        found.read(owner.instance_uid, "instance", INSTANCE_PRESENT, now, 1)
        found.tell(**of_instance(owner, now))
    for claim in claims:
        metadata, status = claim["metadata"], mapping(claim.get("status"))
        whose = owners.get(metadata.get("namespace", ""))
        if whose is None or "storage" not in whose.metrics or status.get("phase") not in ("Bound", "Lost"):
            continue
        held = _units("storage", mapping(status.get("capacity")).get("storage"))
        found.read(metadata["uid"], "volume", VOLUME_CAPACITY, now, held)
        found.tell(**_of_claim(whose, claim, now))
    return found


def of_instance(owner: Owner, seen: datetime, **more: Any) -> dict[str, Any]:
    told = {"uid": owner.instance_uid, "kind": "instance", "name": owner.instance}
    return {**told, "started_at": owner.since, "seen_last": seen, **owner.tenure, **more}


def _of_claim(owner: Owner, claim: Object, seen: datetime) -> dict[str, Any]:
    metadata = claim["metadata"]
    told = {"uid": metadata["uid"], "kind": "volume", "name": metadata["name"], "namespace": metadata["namespace"]}
    return {**told, "started_at": moment(metadata.get("creationTimestamp")), "seen_last": seen, **owner.tenure}


def _pod(found: Measured, owner: Owner, told: dict[str, Any], uid: str, stats: Mapping[str, Any], pod: Object) -> None:
    own, status = Measured(), mapping(pod.get("status"))
    for metric, at, value in _of_cgroup(owner, stats):
        own.read(uid, "pod", metric, at, value)
    if seen := own.last(uid):
        asked = of_pod(mapping(pod.get("spec")), Pods(), "", defaultdict(list))
        for metric, name in _asked_of(owner):
            own.read(uid, "pod", metric, seen, _units(name.partition(".")[2], asked.get(name)))
        own.read(uid, "pod", RESTARTS, seen, _restarts(status) if pod else None)
        amounts = {
            part: {name.partition(".")[2]: f"{amount:f}" for name, amount in asked.items() if name.startswith(part)}
            for part in ("requests", "limits")
        }
        started = moment(status.get("startTime"))
        own.tell(uid=uid, kind="pod", **told, started_at=started, seen_last=seen, **amounts, **owner.tenure)
    if "network" in owner.metrics:
        _network(own, owner, told, uid, stats)
    found.add(own)


def _of_cgroup(owner: Owner, stats: Mapping[str, Any]) -> Iterator[tuple[str, datetime | None, object]]:
    cpu, memory, disk = (mapping(stats.get(part)) for part in ("cpu", "memory", "ephemeral-storage"))
    if "cpu" in owner.metrics:
        yield CPU, moment(cpu.get("time")), cpu.get("usageCoreNanoSeconds")
    if "memory" in owner.metrics:
        yield MEMORY, moment(memory.get("time")), memory.get("workingSetBytes")
    if "storage" in owner.metrics:
        yield EPHEMERAL_STORAGE, moment(disk.get("time")), disk.get("usedBytes")


def _network(found: Measured, owner: Owner, told: dict[str, Any], pod: str, stats: Mapping[str, Any]) -> None:
    """Of the interface that the kubelet calls the pod's own. Others come and go, and a sum over them would fall."""
    network, since = mapping(stats.get("network")), moment(stats.get("startTime"))
    at, uid = moment(network.get("time")), life(f"{pod}/network", since)
    found.read(uid, "pod", NETWORK_RECEIVED, at, network.get("rxBytes"))
    found.read(uid, "pod", NETWORK_TRANSMITTED, at, network.get("txBytes"))
    if seen := found.last(uid):
        found.tell(uid=uid, kind="pod", **told, started_at=since, seen_last=seen, **owner.tenure)


def _volumes(
    found: Measured,
    owner: Owner,
    namespace: str,
    stats: Mapping[str, Any],
    claims: Claims,
    read: set[tuple[str, str]],
) -> None:
    for volume in items(stats.get("volume")):
        reference = mapping(volume.get("pvcRef"))
        name, at = str(reference.get("name")), moment(volume.get("time"))
        claim = claims.get((namespace, name))
        if claim is None or reference.get("namespace") != namespace or (namespace, name) in read:
            continue  # none of ours, or read already: another pod of this node has it mounted, too
        read.add((namespace, name))
        found.read(claim["metadata"]["uid"], "volume", VOLUME_USED, at, volume.get("usedBytes"))
        if at is not None:
            found.tell(**_of_claim(owner, claim, at))


def _asked_of(owner: Owner) -> Iterator[tuple[str, str]]:
    for what, names in ASKED.items():
        if what in owner.metrics:
            yield from ((metric, name) for name, metric in names.items())


def _restarts(status: Mapping[str, Any]) -> int:
    counts = [each.get("restartCount") for each in items(status.get("containerStatuses"))]
    return sum(each for each in counts if isinstance(each, int) and each > 0)


def _units(resource: str, stated: object) -> int | None:
    """Thousandths of a core, or bytes."""
    amount = quantity(str(stated) if stated is not None else None)
    return None if amount is None else int(amount * 1000) if resource == "cpu" else int(amount)
