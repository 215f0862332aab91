"""What isolates an instance, held against what was promised: rights, bounds, and who reaches whom. Pure.

A promise that is kept is worth a line too: what was looked at is part of what is told.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, NamedTuple

from shared import policies
from shared.access import Consumer
from shared.cluster import Object
from shared.grants import EXTRA, OF_CONSUMER, OF_INSTANCE
from shared.netpol import Pod, ports_of, reaches
from shared.offering import Offering
from shared.resources import (
    LIMIT_RANGES,
    NETWORK_POLICIES,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    SYSTEM_NAMESPACE,
    Resource,
)

Verdict = Literal["allowed", "denied", "granted", "wrong", "unseen"]
"""`allowed`, `denied`: as promised. `granted`: somebody opened it, on record. `unseen`: who asks may not know."""


class Finding(NamedTuple):
    subject: str
    """An instance (namespace/name), or a Consumer."""
    verdict: Verdict
    what: str
    fix: str = ""


RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Question:
    """A SubjectAccessReview, and what it should answer."""

    what: str
    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    allowed: bool = False

    def review(self, user: str, groups: Iterable[str]) -> Object:
        asked = {"verb": self.verb, "group": self.group, "resource": self.resource}
        asked |= {"namespace": self.namespace, "name": self.name, "subresource": self.subresource}
        attributes = {key: value for key, value in asked.items() if value}
        return {"spec": {"user": user, "groups": [*groups], "resourceAttributes": attributes}}


def identity(consumer: Consumer) -> tuple[str, list[str]]:
    """Whom the API server sees when its kubeconfig is used."""
    accounts = "system:serviceaccounts"
    groups = [accounts, f"{accounts}:{SYSTEM_NAMESPACE}", "system:authenticated"]
    return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{consumer.account}", groups


def of_consumer(consumer: Consumer, kinds: Iterable[Resource], others: Iterable[str]) -> Iterator[Question]:
    """`kinds` are those it may order; `others` the namespaces of other Consumers."""
    mine = consumer.namespaces[0]
    for kind in kinds:
        for verb in ("get", "list", "create", "patch", "delete"):
            yield Question(f"{verb} {kind.plural} in {mine}", verb, kind.group, kind.plural, mine, allowed=True)
        what = f"write the status of {kind.plural}"
        yield Question(what, "patch", kind.group, kind.plural, mine, subresource="status")
        for other in others:
            yield Question(f"read {kind.plural} in {other}", "list", kind.group, kind.plural, other)
    for other in others:
        yield Question(f"read Secrets in {other}", "get", "", "secrets", other)
    yield Question(f"raise its own quota in {mine}", "patch", "", "resourcequotas", mine)
    yield Question(f"hand out roles in {mine}", "create", RBAC, "rolebindings", mine)
    yield Question("hand out roles in the cluster", "create", RBAC, "clusterrolebindings")
    yield Question("read Secrets of the cluster", "list", "", "secrets")
    yield Question(f"read Secrets in {SYSTEM_NAMESPACE}", "get", "", "secrets", SYSTEM_NAMESPACE)
    yield Question("see nodes", "list", "", "nodes")
    yield Question("change Offerings", "patch", "chandlery.dev", "offerings")
    yield Question("change Consumers", "patch", "chandlery.dev", "consumers")
    yield Question("set marks of Chandlery", "set", "chandlery.dev", "marks")


def of_release(namespace: str, offering: Offering) -> Iterator[Question]:
    """What its Consumer may do where an instance runs; what the Offering opens is not asked."""
    opened = offering.spec.consumer_access
    if not opened.secrets:
        yield Question("read the Secrets of the release", "get", "", "secrets", namespace)
    if not opened.logs:
        yield Question("read logs of the release", "get", "", "pods", namespace, subresource="log")
    if not opened.port_forward:
        yield Question("forward ports of the release", "create", "", "pods", namespace, subresource="portforward")
    yield Question("run commands in the release", "create", "", "pods", namespace, subresource="exec")
    yield Question("start pods beside the release", "create", "", "pods", namespace)
    yield Question("lift the release's quota", "delete", "", "resourcequotas", namespace)
    yield Question("lift the release's NetworkPolicy", "delete", "networking.k8s.io", "networkpolicies", namespace)
    yield Question("hand out roles beside the release", "create", RBAC, "rolebindings", namespace)


def answered(subject: str, question: Question, status: Object) -> Finding:
    """`status` of the review: who allowed it stands in its reason."""
    allowed, why = bool(status.get("allowed")), str(status.get("reason") or "")
    if allowed == question.allowed:
        return Finding(subject, "allowed" if allowed else "denied", question.what)
    if allowed and any(f'"{mark}' in why or f"/{mark}" in why for mark in (EXTRA, OF_INSTANCE, OF_CONSUMER)):
        return Finding(subject, "granted", question.what, why)
    if allowed:
        return Finding(subject, "wrong", f"may {question.what}: {why}", "delete that binding, or its rule")
    return Finding(subject, "wrong", f"may not {question.what}", "see the Consumer's conditions")


@dataclass(frozen=True)
class Home:
    """A release namespace: what is there, and what should be."""

    instance: str
    consumer: str
    namespace: Object
    wanted: list[tuple[Resource, Object]]
    labels: Mapping[str, str]
    """Of Pod Security, as they should be."""
    found: Mapping[Resource, Object] = field(default_factory=dict)
    """What Chandlery made, by kind."""
    network: tuple[Object, ...] = ()
    """All its NetworkPolicies, whoever made them."""
    pods: tuple[Mapping[str, str], ...] = ()
    """The labels of its pods."""

    @property
    def name(self) -> str:
        return str(self.namespace["metadata"]["name"])

    @property
    def marks(self) -> Mapping[str, str]:
        return self.namespace["metadata"].get("labels") or {}


def bounds(home: Home) -> Iterator[Finding]:
    """Quota, limits, network policy and Pod Security: there, as they should be, and counted by Kubernetes."""
    for label, level in home.labels.items():
        has = home.marks.get(label)
        yield (
            Finding(home.instance, "denied", f"pods beyond {level}: {label}")
            if has == level
            else Finding(home.instance, "wrong", f"namespace {home.name}: {label} is {has}, not {level}", MENDS)
        )
    for resource, body in home.wanted:
        found = home.found.get(resource)
        what = f"{resource.kind} {home.name}/{body['metadata']['name']}"
        if found is None:
            yield Finding(home.instance, "wrong", f"{what} is missing", MENDS)
        elif not policies.in_force(found, body):
            yield Finding(home.instance, "wrong", f"{what} is not as the Offering says", MENDS)
        elif resource == RESOURCE_QUOTAS and not (found.get("status") or {}).get("used"):
            yield Finding(home.instance, "wrong", f"{what} is not counted yet", "wait for Kubernetes' quota controller")
        else:
            yield Finding(home.instance, "denied", f"{BEYOND[resource]}: {what}")


MENDS = "apply_policies brings it back; if it does not, see its logs"
BEYOND = {
    RESOURCE_QUOTAS: "more than its quota",
    LIMIT_RANGES: "containers beyond its limits",
    NETWORK_POLICIES: "traffic beyond its policy",
    SERVICE_ACCOUNTS: "a token in every pod",
}


def between(homes: Iterable[Home], only: str | None = None) -> Iterator[Finding]:
    """Whether any instance reaches another that it should not, over any port, by the policies that are there.

    Homes alike in all that policies distinguish are looked at once, `only` first among them: N instances of an Offering
    cost what two do. What is wrong is said of each.
    """
    all_homes = sorted(homes, key=lambda home: home.instance != only)
    everything = [policy for home in all_homes for policy in home.network]
    should = [policy for home in all_homes for policy in promised(home)]
    words = distinguished([*everything, *should])
    by_class: dict[Any, list[Home]] = {}
    for home in all_homes:
        by_class.setdefault(alike(home, words), []).append(home)
    ports = sorted(ports_of([*everything, *should]), key=str)
    for one, other in product(by_class.values(), repeat=2):
        source, target = one[0], another(other, one[0])
        if target is None:
            continue
        pairs = [(a, b) for a in pods(source) for b in pods(target)]
        here, there = [*source.network, *target.network], [*promised(source), *promised(target)]
        is_open = any(reaches(a, b, port, here) for a, b in pairs for port in ports)
        may = any(reaches(a, b, port, there) for a, b in pairs for port in ports)
        if is_open and not may:
            fix = "a NetworkPolicy besides Chandlery's opens it, or Chandlery's is gone: see both namespaces"
            for home in one:
                reached = another(other, home) or target
                yield Finding(home.instance, "wrong", f"{home.name} reaches {reached.name}", fix)
        else:
            opened = "the Offering, or the owners of both, opened it" if is_open else ""
            what = f"{source.name} reaches {target.name}"
            yield Finding(source.instance, "granted" if is_open else "denied", what, opened)


def another(homes: Iterable[Home], than: Home) -> Home | None:
    return next((each for each in homes if each is not than), None)


def promised(home: Home) -> list[Object]:
    return [body for resource, body in home.wanted if resource == NETWORK_POLICIES]


def pods(home: Home) -> list[Pod]:
    """A home without pods is looked at as if it had one."""
    return [Pod(home.name, home.marks, labels) for labels in home.pods or ({},)]


Words = Mapping[str, frozenset[str]]
"""The labels that policies speak of, and the values they name."""


def distinguished(given: Iterable[Object]) -> Words:
    found: dict[str, set[str]] = {}
    for selector in (each for policy in given for each in selectors(policy["spec"])):
        for key, value in (selector.get("matchLabels") or {}).items():
            found.setdefault(key, set()).add(value)
        for expression in selector.get("matchExpressions") or []:
            found.setdefault(expression["key"], set()).update(expression.get("values") or [])
    return {key: frozenset(values) for key, values in found.items()}


def selectors(part: Any) -> Iterator[Object]:
    """All of them, wherever they stand in a policy."""
    if isinstance(part, list):
        for each in part:
            yield from selectors(each)
    elif isinstance(part, Mapping):
        for key, value in part.items():
            if key in ("podSelector", "namespaceSelector"):
                yield value
            else:
                yield from selectors(value)


def alike(home: Home, words: Words) -> tuple[Any, ...]:
    """All that policies could tell it by: homes of one class reach, and are reached by, the same."""
    stated = (json.dumps([each["spec"] for each in given], sort_keys=True) for given in (home.network, promised(home)))
    return (*stated, told(home.marks, words), frozenset(told(labels, words) for labels in home.pods or ({},)))


def told(labels: Mapping[str, str], words: Words) -> frozenset[tuple[str, str]]:
    """A value that no policy names is as good as any other."""
    known = ((key, value) for key, value in labels.items() if key in words)
    return frozenset((key, value if value in words[key] else "*") for key, value in known)


def verdict(found: Iterable[Finding]) -> tuple[bool, str]:
    """What the condition says; it changes only when something is wrong, or no longer."""
    wrong = [each for each in found if each.verdict == "wrong"]
    more = f" (and {len(wrong) - SHOWN} more)" if len(wrong) > SHOWN else ""
    said = "; ".join(f"{each.what}: {each.fix}" for each in wrong[:SHOWN]) + more
    return not wrong, said or "rights, bounds and network are as promised"


SHOWN = 3
