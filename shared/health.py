"""Whether workloads are ready, as `kubectl rollout status` and kstatus define it, and why not. Pure.

Sources: kubectl pkg/polymorphichelpers/rollout_status.go; cli-utils pkg/kstatus/status/core.go.
"""

from dataclasses import dataclass
from typing import Any, Literal

Object = dict[str, Any]
State = Literal["Current", "InProgress", "Failed"]


@dataclass(frozen=True)
class Health:
    state: State
    reason: str = ""
    message: str = ""


CURRENT = Health("Current")


def health(workload: Object) -> Health:
    """Of one object of a kind in `shared.resources.WORKLOADS`; other kinds are what they are."""
    judge = JUDGES.get(workload["kind"])
    if judge is None:
        return CURRENT
    metadata, status = workload["metadata"], workload.get("status", {})
    name = f"{workload['kind'].lower()} {metadata['name']}"
    if metadata.get("deletionTimestamp"):
        return Health("InProgress", "Terminating", f"{name} is being deleted")
    if status.get("observedGeneration", metadata.get("generation", 0)) < metadata.get("generation", 0):
        return Health("InProgress", "Progressing", f"{name}: its controller has not seen the newest spec yet")
    found = judge(workload.get("spec", {}), status)
    return Health(found.state, found.reason, f"{name}: {found.message}") if found.message else found


def waiting(message: str) -> Health:
    return Health("InProgress", "Progressing", message)


def condition_of(status: Object, kind: str) -> Object:
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def deployment(spec: Object, status: Object) -> Health:
    wanted = spec.get("replicas", 1)
    progressing = condition_of(status, "Progressing")
    refused = condition_of(status, "ReplicaFailure")
    if refused.get("status") == "True":
        return Health("Failed", refused.get("reason", "ReplicaFailure"), refused.get("message", "pods are refused"))
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health("Failed", "ProgressDeadlineExceeded", progressing.get("message", "exceeded its deadline"))
    if "observedGeneration" not in status:
        return waiting("its controller has not seen it yet")
    updated, total, available = (status.get(k, 0) for k in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        return waiting(f"{updated} of {wanted} pods are updated")
    if total > updated:
        return waiting(f"{total - updated} old pods are still there")
    if available < wanted:
        return waiting(f"{available} of {wanted} pods are available")
    return CURRENT


def stateful_set(spec: Object, status: Object) -> Health:
    wanted = spec.get("replicas", 1)
    strategy = spec.get("updateStrategy", {})
    if "observedGeneration" not in status:
        return waiting("its controller has not seen it yet")
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return waiting(f"{ready} of {wanted} pods are ready")
    if strategy.get("type") == "OnDelete":
        return CURRENT
    partition = strategy.get("rollingUpdate", {}).get("partition", 0)
    if partition:
        due = wanted - partition
        return CURRENT if updated >= due else waiting(f"{updated} of {due} pods are updated")
    if status.get("updateRevision") != status.get("currentRevision") and updated < wanted:
        return waiting(f"{updated} of {wanted} pods are updated")
    return CURRENT


def daemon_set(spec: Object, status: Object) -> Health:
    if "observedGeneration" not in status:
        return waiting("its controller has not seen it yet")
    wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
    if spec.get("updateStrategy", {}).get("type") != "OnDelete" and updated < wanted:
        return waiting(f"{updated} of {wanted} pods are updated")
    available = status.get("numberAvailable", 0)
    return CURRENT if available >= wanted else waiting(f"{available} of {wanted} pods are available")


def job(_: Object, status: Object) -> Health:
    failed = condition_of(status, "Failed")
    if failed.get("status") == "True":
        return Health("Failed", failed.get("reason", "JobFailed"), failed.get("message", "failed"))
    return CURRENT if status.get("startTime") else waiting("has not started")


def volume_claim(_: Object, status: Object) -> Health:
    phase = status.get("phase", "Pending")
    if phase == "Lost":
        return Health("Failed", "VolumeLost", "its volume is lost")
    return CURRENT if phase == "Bound" else waiting("is not bound to a volume")


def service(spec: Object, status: Object) -> Health:
    if spec.get("type") == "LoadBalancer" and not status.get("loadBalancer", {}).get("ingress"):
        return waiting("has no address from the load balancer yet")
    return CURRENT


def pod(spec: Object, status: Object) -> Health:
    trouble = pod_trouble({"spec": spec, "status": status})
    if trouble:
        return trouble
    if status.get("phase") == "Succeeded" or condition_of(status, "Ready").get("status") == "True":
        return CURRENT
    return waiting("is not ready")


JUDGES = {
    "Deployment": deployment,
    "StatefulSet": stateful_set,
    "DaemonSet": daemon_set,
    "Job": job,
    "PersistentVolumeClaim": volume_claim,
    "Service": service,
    "Pod": pod,
}

# Waiting reasons that are part of a normal start.
STARTING = {"ContainerCreating", "PodInitializing"}


def pod_trouble(found: Object) -> Health | None:
    """What keeps a pod from running, in its containers' own words; None while it is merely starting."""
    status = found.get("status", {})
    scheduled = condition_of(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Health(
            "Failed", scheduled.get("reason", "Unschedulable"), scheduled.get("message", "can't be scheduled")
        )
    if status.get("phase") == "Failed":
        return Health("Failed", status.get("reason", "PodFailed"), status.get("message", "failed"))
    containers = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    for container in containers:
        held = container.get("state", {}).get("waiting", {})
        if held.get("reason") and held["reason"] not in STARTING:
            ended = container.get("lastState", {}).get("terminated", {})
            because = f" after {ended['reason']} (exit code {ended.get('exitCode')})" if ended.get("reason") else ""
            said = held.get("message", "")
            return Health(
                "Failed",
                held["reason"],
                f"container {container['name']}: {held['reason']}{because}{said and ': ' + said}",
            )
        ended = container.get("state", {}).get("terminated", {})
        if ended.get("exitCode"):
            reason = ended.get("reason", "Error")
            return Health("Failed", reason, f"container {container['name']}: {reason} (exit code {ended['exitCode']})")
    return None


def overall(workloads: list[Object], pods: list[Object]) -> Health:
    """The worst of them all; a pod's own trouble says more than the count of its workload does."""
    found = [health(each) for each in workloads]
    troubled = [each for each in found if each.state != "Current"]
    if not troubled:
        return CURRENT
    for each in pods:
        trouble = pod_trouble(each)
        if trouble and not each["metadata"].get("deletionTimestamp"):
            return Health("Failed", trouble.reason, f"pod {each['metadata']['name']}: {trouble.message}")
    return next((each for each in troubled if each.state == "Failed"), troubled[0])


def endpoints(objects: list[Object]) -> list[dict[str, str]]:
    """Where the release can be reached, from its Ingresses and Services."""
    found: list[dict[str, str]] = []
    for each in objects:
        find = {"Ingress": ingress_urls, "Service": service_urls}.get(each["kind"])
        for url in find(each) if find else []:
            found.append({"name": each["metadata"]["name"], "url": url})
    return found


def ingress_urls(ingress: Object) -> list[str]:
    spec = ingress.get("spec", {})
    secure = {host for tls in spec.get("tls", []) for host in tls.get("hosts", [])}
    return [
        f"{'https' if rule['host'] in secure else 'http'}://{rule['host']}{path.get('path', '/')}"
        for rule in spec.get("rules", [])
        if rule.get("host")
        for path in rule.get("http", {}).get("paths", [{}])
    ]


def service_urls(service: Object) -> list[str]:
    spec, metadata = service.get("spec", {}), service["metadata"]
    if spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName":
        return []
    outside = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    hosts = [at.get("hostname") or at.get("ip") for at in outside] or [
        f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
    ]
    return [f"{scheme(port)}://{host}:{port['port']}" for host in hosts if host for port in spec.get("ports", [])]


def scheme(port: Object) -> str:
    named = port.get("appProtocol") or port.get("name") or ""
    if "https" in named or port["port"] == 443:
        return "https"
    if "http" in named or port["port"] == 80:
        return "http"
    return port.get("protocol", "TCP").lower()
