"""What the objects of a release ask of a namespace, in the words of a ResourceQuota. Pure.

As Kubernetes counts it: the larger of a pod's containers together and each of its init containers; a limit stands in
for a request that is missing; the workloads and the hooks that run beside them at once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shared.manifests import Manifest, items, mapping
from shared.offering import Pods, plural_of
from shared.quantities import quantity

Amounts = dict[str, Decimal]
ZERO = Decimal(0)
BEFORE = frozenset({"pre-install", "pre-upgrade"})
AFTER = frozenset({"post-install", "post-upgrade"})
CLASS = "storageclass.storage.k8s.io"
COUNTED = ("persistentvolumeclaims", "services", "configmaps", "secrets", "replicationcontrollers")


@dataclass(frozen=True)
class Demand:
    """`by` names what each object adds, largest first is up to the reader."""

    total: Amounts
    by: dict[str, Amounts]
    unstated: dict[str, list[str]]
    """Containers without requests.cpu and so on: a quota on one refuses their pods."""
    notes: list[str]


@dataclass(frozen=True)
class Workload:
    """Pods of one kind and the volumes that are made for them."""

    manifest: Manifest
    pods: int
    spec: dict[str, Any]
    claims: list[dict[str, Any]]
    note: str | None = None


def pod_spec(each: Manifest) -> dict[str, Any] | None:
    """Of whatever makes pods among Kubernetes' own kinds."""
    path = pod_path(each)
    return None if path is None else mapping(within(each.body, (*path, "spec")))


def pod_path(each: Manifest) -> tuple[str, ...] | None:
    """Where a pod, or a template of pods, stands in an object."""
    if (each.group, each.kind) == ("", "Pod"):
        return ()
    if each.group in ("", "apps", "batch") and each.kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template")
    return ("spec", "template") if (each.group, each.kind) in TEMPLATED else None


def within(body: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        body = mapping(body).get(step)
    return body


TEMPLATED = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("", "ReplicationController"),
    ("batch", "Job"),
}


def demand(manifests: list[Manifest], defaults: Pods | None = None) -> Demand:
    defaults = defaults or Pods()
    notes: list[str] = []
    unstated: dict[str, list[str]] = defaultdict(list)
    by: dict[str, Amounts] = {}
    hooks: dict[str, list[Amounts]] = {"before": [], "after": []}
    for each in manifests:
        if each.only_a_test:
            continue
        amounts = _of_object(each, manifests, defaults, unstated, notes)
        events = set(each.hook_events)
        if not events:
            by[each.shown] = amounts
            continue
        for when, wanted in (("before", BEFORE), ("after", AFTER)):
            if events & wanted:
                hooks[when].append(amounts)
                by[f"{each.shown} (hook)"] = amounts
    lasting = _sum(amounts for shown, amounts in by.items() if not shown.endswith(" (hook)"))
    at_the_end = _sum([lasting, _largest(hooks["after"])])
    return Demand(_largest([at_the_end, *hooks["before"]]), by, dict(unstated), notes)


def _of_object(
    each: Manifest, manifests: list[Manifest], defaults: Pods, unstated: dict[str, list[str]], notes: list[str]
) -> Amounts:
    if each.kind == "PersistentVolumeClaim":
        return _sum([_claim(mapping(each.body.get("spec")), 1), _counts(each)])
    work = workload(each, manifests)
    if work is None:
        return _counts(each)
    if work.note:
        notes.append(f"{each.shown}: {work.note}")
    one = of_pod(work.spec, defaults, f"{each.shown}", unstated)
    pods = {key: amount * work.pods for key, amount in one.items()} | {"pods": Decimal(work.pods)}
    return _sum([pods, *(_claim(claim, work.pods) for claim in work.claims), _counts(each)])


def workload(each: Manifest, manifests: list[Manifest]) -> Workload | None:
    pods = pod_spec(each)
    if pods is None:
        return None
    spec = mapping(each.body.get("spec"))
    claims = [mapping(claim.get("spec")) for claim in items(spec.get("volumeClaimTemplates"))]
    claims += [
        mapping(mapping(mapping(volume.get("ephemeral")).get("volumeClaimTemplate")).get("spec"))
        for volume in items(pods.get("volumes"))
        if "ephemeral" in volume
    ]
    if each.kind == "DaemonSet":
        return Workload(each, 1, pods, claims, "one pod on each node; counted once")
    if each.kind == "CronJob":
        job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
        return Workload(each, _parallel(job), pods, claims, "counted as one run at a time")
    if each.kind == "Job":
        return Workload(each, _parallel(spec), pods, claims)
    if each.kind == "Pod":
        return Workload(each, 1, pods, claims)
    return Workload(each, max(_whole(spec.get("replicas"), 1), _scaled(each, manifests)), pods, claims)


def _parallel(job: dict[str, Any]) -> int:
    parallelism = _whole(job.get("parallelism"), 1)
    return min(parallelism, _whole(job.get("completions"), parallelism))


def _scaled(each: Manifest, manifests: list[Manifest]) -> int:
    """What an autoscaler keeps running at the least."""
    found = 0
    for other in manifests:
        spec = mapping(other.body.get("spec"))
        target = mapping(spec.get("scaleTargetRef"))
        if other.kind == "HorizontalPodAutoscaler" and (target.get("kind"), target.get("name")) == (
            each.kind,
            each.name,
        ):
            found = max(found, _whole(spec.get("minReplicas"), 1))
    return found


def room_to_grow(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Workload, int]]:
    """Autoscalers, what they scale, and how many pods they may add to those that are counted."""
    works = [work for each in manifests if (work := workload(each, manifests))]
    for each in manifests:
        spec = mapping(each.body.get("spec"))
        target = mapping(spec.get("scaleTargetRef"))
        for work in works if each.kind == "HorizontalPodAutoscaler" else ():
            more = _whole(spec.get("maxReplicas"), 0) - work.pods
            if (work.manifest.kind, work.manifest.name) == (target.get("kind"), target.get("name")) and more > 0:
                yield each, work, more


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else otherwise


def of_pod(spec: dict[str, Any], defaults: Pods, shown: str, unstated: dict[str, list[str]]) -> Amounts:
    """Requests and limits of one pod, as requests.cpu and limits.memory."""
    found: Amounts = {}
    for part in ("requests", "limits"):
        together: Amounts = {}
        sidecars: Amounts = {}
        peak: Amounts = {}
        for container in items(spec.get("initContainers")):
            asked = _asked(container, part, defaults)
            if container.get("restartPolicy") == "Always":  # a sidecar: it stays
                sidecars = _sum([sidecars, asked])
                peak = _largest([peak, sidecars])
            else:
                peak = _largest([peak, _sum([sidecars, asked])])
        for container in items(spec.get("containers")):
            together = _sum([together, _asked(container, part, defaults)])
        whole = _amounts(mapping(mapping(spec.get("resources")).get(part)))  # of the pod, where it states them
        total = _largest([_sum([together, sidecars]), peak]) | whole
        total = _sum([total, _amounts(mapping(spec.get("overhead")))]) if total else total
        found |= {f"{part}.{name}": amount for name, amount in total.items()}
        for container in [*items(spec.get("initContainers")), *items(spec.get("containers"))]:
            for name in ("cpu", "memory"):
                if name not in whole and name not in _asked(container, part, defaults):
                    unstated[f"{part}.{name}"].append(f"container {container.get('name')} of {shown}")
    return found


def _asked(container: dict[str, Any], part: str, defaults: Pods) -> Amounts:
    resources = mapping(container.get("resources"))
    limits = _amounts(mapping(resources.get("limits")))
    if part == "limits":
        return _amounts(defaults.limits) | limits
    stated = limits | _amounts(mapping(resources.get("requests")))
    return _amounts(defaults.limits) | _amounts(defaults.requests) | stated


def _amounts(stated: dict[str, Any]) -> Amounts:
    found = ((str(name), quantity(amount)) for name, amount in stated.items())
    return {name: amount for name, amount in found if amount is not None}


def bad_quantities(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Where the API server will find something that is no quantity."""
    for each in manifests:
        pods = pod_spec(each) or {}
        for container in [*items(pods.get("initContainers")), *items(pods.get("containers"))]:
            for part in ("requests", "limits"):
                for name, amount in mapping(mapping(container.get("resources")).get(part)).items():
                    if quantity(amount) is None:
                        where = f"{each.shown}: container {container.get('name')}: resources.{part}.{name}"
                        yield f"{where} is {amount!r}, which is no quantity"


def _claim(spec: dict[str, Any], times: int) -> Amounts:
    asked = _amounts(mapping(mapping(spec.get("resources")).get("requests"))).get("storage", ZERO) * times
    count = Decimal(times)
    found = {"requests.storage": asked, "persistentvolumeclaims": count}
    name = spec.get("storageClassName")
    if isinstance(name, str) and name:
        found |= {f"{name}.{CLASS}/requests.storage": asked, f"{name}.{CLASS}/persistentvolumeclaims": count}
    return found


def _counts(each: Manifest) -> Amounts:
    """The objects themselves, of which a quota may bound the number too."""
    plural = plural_of(each.kind)
    found = {f"count/{plural}.{each.group}" if each.group else f"count/{plural}": Decimal(1)}
    if not each.group and plural in COUNTED:
        found[plural] = Decimal(1)
    kind = mapping(each.body.get("spec")).get("type") if each.shown.startswith("Service/") else None
    if kind in ("LoadBalancer", "NodePort"):
        found["services.nodeports"] = Decimal(len(items(mapping(each.body.get("spec")).get("ports"))))
    if kind == "LoadBalancer":
        found["services.loadbalancers"] = Decimal(1)
    return found


def _sum(amounts: Iterable[Amounts]) -> Amounts:
    return _joined(amounts, lambda one, other: one + other)


def _largest(amounts: Iterable[Amounts]) -> Amounts:
    return _joined(amounts, max)


def _joined(amounts: Iterable[Amounts], join: Callable[[Decimal, Decimal], Decimal]) -> Amounts:
    total: Amounts = {}
    for each in amounts:
        for name, amount in each.items():
            total[name] = join(total[name], amount) if name in total else amount
    return total
