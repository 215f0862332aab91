"""What isolates an instance, held against what was promised: the bounds of its release namespace. Pure.

A promise that is kept is worth a line too: what was looked at is part of what is told. Rights are in questions.py, who
reaches whom is in reachability.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from shared import policies
from shared.cluster import Object
from shared.netpol import Pod
from shared.resources import LIMIT_RANGES, NETWORK_POLICIES, RESOURCE_QUOTAS, SERVICE_ACCOUNTS, Resource

Verdict = Literal["allowed", "denied", "granted", "wrong", "unseen"]
"""`allowed`, `denied`: as promised. `granted`: somebody opened it, on record. `unseen`: who asks may not know."""

ENFORCE = "pod-security.kubernetes.io/enforce"
MENDS = "apply_policies brings it back; if it does not, see its logs"
ADMITTED = (policies.STORAGE_CLASSES, policies.SERVICE_TYPES)
"""Annotations that the admission policies read."""
SHOWN = 3
BEYOND = {
    RESOURCE_QUOTAS: "more than its quota",
    LIMIT_RANGES: "containers beyond its limits",
    NETWORK_POLICIES: "traffic beyond its policy",
    SERVICE_ACCOUNTS: "a token in every pod",
}


class Finding(NamedTuple):
    subject: str
    """An instance (plural.group/namespace/name), or a Consumer (consumer NAME); nobody: what could not be seen."""
    verdict: Verdict
    what: str
    fix: str = ""
    namespace: str = ""
    """Where it is done: its owner's matter, too."""


@dataclass(frozen=True)
class Home:
    """A release namespace: what is there, and what should be."""

    instance: str
    consumer: str
    namespace: Object
    expected: Object
    """The namespace as it should be."""
    wanted: list[tuple[Resource, Object]]
    found: Mapping[Resource, Object] = field(default_factory=dict)
    """What Chandlery made, by kind."""
    network: tuple[Object, ...] = ()
    """All its NetworkPolicies, whoever made them."""
    pods: tuple[Pod, ...] = ()
    on_host: tuple[str, ...] = ()
    """Pods that use their node's own network."""
    hidden: frozenset[Resource] = frozenset()
    """Kinds that whoever looks may not see."""

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])

    @property
    def marks(self) -> Mapping[str, str]:
        return self.namespace["metadata"].get("labels") or {}


def bounds(home: Home) -> Iterator[Finding]:
    """Pod Security, quota, limits, network policy, account: there, as they should be, and counted by Kubernetes."""
    yield from pod_security(home)
    yield from annotations(home)
    for resource, body in home.wanted:
        if resource not in home.hidden:
            yield bound(home, resource, body)
    yield from on_host(home)


def bound(home: Home, resource: Resource, body: Object) -> Finding:
    found, name = home.found.get(resource), body["metadata"]["name"]
    what = f"{resource.kind} {home.name}/{name}"
    if found is None:
        return Finding(home.instance, "wrong", f"{what} is missing", MENDS)
    if not policies.in_force(found, body):
        fix = f"`kubectl delete {resource.kind.lower()} {name} -n {home.name}`, and {MENDS}"
        if resource == SERVICE_ACCOUNTS:  # of these nobody is told
            patch = '{"automountServiceAccountToken": false}'
            fix = f"`kubectl patch serviceaccount {name} -n {home.name} -p '{patch}'`"
        return Finding(home.instance, "wrong", f"{what} is not as the Offering says", fix)
    if resource == RESOURCE_QUOTAS and not counted(found, body):
        return Finding(home.instance, "wrong", f"{what} is not counted yet", "wait for Kubernetes' quota controller")
    return Finding(home.instance, "denied", f"{BEYOND[resource]}: {what}")


def counted(found: Object, body: Object) -> bool:
    status = found.get("status") or {}
    return bool(status.get("used")) and policies.same(status.get("hard"), body["spec"]["hard"])


def pod_security(home: Home) -> Iterator[Finding]:
    for label, level in home.expected["metadata"]["labels"].items():
        if not label.startswith("pod-security.kubernetes.io/"):
            continue
        has = home.marks.get(label)
        if has == level:
            yield Finding(home.instance, "denied", f"pods beyond {level}: {label}")
        else:
            fix = f"`kubectl label namespace {home.name} {label}={level} --overwrite`"
            yield Finding(
                home.instance, "wrong", f"namespace {home.name}: {label} is {has or 'missing'}, not {level}", fix
            )


def annotations(home: Home) -> Iterator[Finding]:
    """Without them the admission policies on storage classes and Services know no bounds here."""
    has = home.namespace["metadata"].get("annotations") or {}
    for key in ADMITTED:
        value = home.expected["metadata"]["annotations"][key]
        if has.get(key) != value:
            fix = f"`kubectl annotate namespace {home.name} {key}={value!r} --overwrite`"
            stated = repr(has[key]) if key in has else "missing"
            yield Finding(home.instance, "wrong", f"namespace {home.name}: {key} is {stated}, not {value!r}", fix)


def on_host(home: Home) -> Iterator[Finding]:
    """Pods that no NetworkPolicy holds."""
    may = home.expected["metadata"]["labels"].get(ENFORCE) == "privileged"
    for pod in home.on_host[:SHOWN]:
        what = f"pod {home.name}/{pod} is on its node's network: no NetworkPolicy holds it"
        fix = "the Offering lets its pods be privileged" if may else f"`kubectl delete pod {pod} -n {home.name}`"
        yield Finding(home.instance, "granted" if may else "wrong", what, fix)


def homeless(instance: str, namespace: str) -> Finding:
    fix = "the resync makes it and the release again"
    return Finding(instance, "wrong", f"Namespace {namespace} is missing", fix)


def concerning(found: Iterable[Finding], instance: str, consumer: str, namespaces: Iterable[str]) -> list[Finding]:
    """Of all that was found: of the instance, of its Consumer, and what others may do in its namespaces."""
    subjects, where = {instance, f"consumer {consumer}", ""}, set(namespaces)
    return [each for each in found if each.subject in subjects or each.namespace in where]


def verdict(found: Iterable[Finding]) -> tuple[bool | None, str, str]:
    """What the condition says: its status, reason and message. What could not be seen is not known to be well."""
    found = [*dict.fromkeys(found)]
    wrong = [f"{each.what}: {each.fix}" for each in found if each.verdict == "wrong"]
    unseen = [each.what for each in found if each.verdict == "unseen"]
    if wrong:
        return False, "NotIsolated", listed(wrong)
    if unseen:
        return None, "NotSeen", f"may not be looked at: {listed(unseen)}"
    return True, "AsPromised", "rights, bounds and network are as promised"


def listed(said: list[str]) -> str:
    more = f" (and {len(said) - SHOWN} more)" if len(said) > SHOWN else ""
    return "; ".join(said[:SHOWN]) + more
