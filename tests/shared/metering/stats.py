"""What a kubelet and an API server say, with everything filled in but what a test is about."""

from datetime import datetime
from typing import Any

from shared.metering.owners import Owner
from tests.shared.metering.builders import T0, at

Object = dict[str, Any]
HOME = "database-team-a-orders"
OWNER = Owner("instance-1", "team-a/orders", "database", "small", "team-a", "team-a", since=T0)
OWNERS = {HOME: OWNER}


def stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def stats(
    seconds: float = 30, *, uid: str = "pod-1", name: str = "orders-0", home: str = HOME, began: float = 0, **more: Any
) -> Object:
    """Of one pod, sampled so many seconds after T0."""
    time = stamp(at(seconds))
    told = {
        "podRef": {"name": name, "namespace": home, "uid": uid},
        "startTime": stamp(at(began)),
        "cpu": {"time": time, "usageNanoCores": 1, "usageCoreNanoSeconds": 1000},
        "memory": {"time": time, "workingSetBytes": 2000},
        "network": {"time": time, "name": "eth0", "rxBytes": 30, "txBytes": 40},
        "ephemeral-storage": {"time": time, "usedBytes": 500},
    }
    return {key: value for key, value in (told | more).items() if value is not None}


def volume(seconds: float, used: int, claim: str = "data", home: str = HOME) -> Object:
    return {
        "time": stamp(at(seconds)),
        "name": "data",
        "usedBytes": used,
        "capacityBytes": 10**12,
        "pvcRef": {"name": claim, "namespace": home},
    }


def summary(*pods: Object, seconds: float = 30, cpu: int = 5000, memory: int = 6000) -> Object:
    time = stamp(at(seconds))
    own = {"cpu": {"time": time, "usageCoreNanoSeconds": cpu}, "memory": {"time": time, "workingSetBytes": memory}}
    return {"node": {"nodeName": "node-1", **own}, "pods": [*pods]}


def pod(uid: str = "pod-1", *, name: str = "orders-0", restarts: int = 0, **status: Any) -> Object:
    asked = {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}
    ports = [{"name": "http-metrics", "containerPort": 9090}]
    return {
        "metadata": {"name": name, "namespace": HOME, "uid": uid},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "resources": asked, "ports": ports}]},
        "status": {
            "phase": "Running",
            "startTime": stamp(T0),
            "containerStatuses": [
                {"name": "app", "restartCount": restarts, "state": {"running": {"startedAt": stamp(at(2))}}}
            ],
            **status,
        },
    }


def claim(uid: str = "claim-1", name: str = "data", size: str = "10Gi", phase: str = "Bound") -> Object:
    metadata = {"name": name, "namespace": HOME, "uid": uid, "creationTimestamp": stamp(T0)}
    return {"metadata": metadata, "status": {"phase": phase, "capacity": {"storage": size}}}


def node() -> Object:
    return {
        "metadata": {"name": "node-1", "uid": "node-uid"},
        "status": {"capacity": {"cpu": "4", "memory": "8Gi"}},
    }
