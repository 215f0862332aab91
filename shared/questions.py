"""What a Consumer's account may do and may not: questions to the API server (SubjectAccessReview), and what it should
answer. Pure.

Namespaces of others are too many to try them all with everything. So each Consumer is asked about a few of them, and of
the rest the bindings tell: who has no binding there has no rights there.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.access import Consumer
from shared.cluster import Object
from shared.grants import EXTRA, OF_CONSUMER, OF_INSTANCE, USING, Released, instance_rules
from shared.isolation import Finding
from shared.offering import Offering
from shared.resources import GROUP, NETWORK_POLICIES, ROLES, SYSTEM_NAMESPACE, Resource

RBAC = ROLES.group
ACCOUNTS = "system:serviceaccounts"
BINDING = re.compile(r'(?P<kind>ClusterRoleBinding|RoleBinding) "(?P<name>[^"/]+)(/(?P<namespace>[^"]+))?"')
"""As the API server names it, in the reason of an answer."""
RECORD = "or put it on record with `chandlery grant`"
COMES = "grant_access gives it when the Consumer changes next; its condition Ready says what stands in the way"


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
    opened: str = ""
    """What opened it, where that is not everybody's."""

    def review(self, user: str, groups: Iterable[str]) -> Object:
        asked = {"verb": self.verb, "group": self.group, "resource": self.resource}
        asked |= {"namespace": self.namespace, "name": self.name, "subresource": self.subresource}
        attributes = {key: value for key, value in asked.items() if value}
        return {"spec": {"user": user, "groups": [*groups], "resourceAttributes": attributes}}


def identity(consumer: Consumer) -> tuple[str, list[str]]:
    """Whom the API server sees when its kubeconfig is used."""
    groups = [ACCOUNTS, f"{ACCOUNTS}:{SYSTEM_NAMESPACE}", "system:authenticated"]
    return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{consumer.account}", groups


# The matrix


def at_home(namespace: str, kinds: Iterable[Resource], *, secrets: bool) -> Iterator[Question]:
    """In a namespace of its own: `kinds` are those it may order; `secrets`: an Offering takes or exports some."""

    def asked(verb: str, resource: str, group: str = "", *, allowed: bool = False, subresource: str = "") -> Question:
        what = f"{verb} {resource}{subresource and '/'}{subresource} in {namespace}"
        return Question(what, verb, group, resource, namespace, subresource=subresource, allowed=allowed)

    for kind in kinds:
        yield from (asked(verb, kind.plural, kind.group, allowed=True) for verb in USING)
        yield asked("get", kind.plural, kind.group, allowed=True, subresource="status")
        for verb in ("update", "patch"):
            yield asked(verb, kind.plural, kind.group, subresource="status")
    yield asked("list", "events", allowed=True)
    yield asked("get", "resourcequotas", allowed=True)
    yield asked("patch", "resourcequotas")
    yield from (asked(verb, "secrets", allowed=secrets) for verb in ("get", "list", "create"))
    yield asked("create", "pods")
    yield asked("create", "serviceaccounts", subresource="token")
    yield from handing_out(namespace)


def handing_out(namespace: str) -> Iterator[Question]:
    for resource in ("roles", "rolebindings"):
        yield Question(f"create {resource} in {namespace}", "create", RBAC, resource, namespace)


def in_the_cluster(kinds: Iterable[Resource]) -> Iterator[Question]:
    for kind in kinds:
        yield Question(f"list {kind.plural} of everybody", "list", kind.group, kind.plural)
    for resource in ("clusterroles", "clusterrolebindings"):
        yield Question(f"create {resource}", "create", RBAC, resource)
    yield Question("act as somebody else", "impersonate", "", "users")
    for resource in ("secrets", "pods", "namespaces", "nodes"):
        yield Question(f"list {resource} of the cluster", "list", "", resource)
    yield Question("run commands in pods of the cluster", "create", "", "pods", subresource="exec")
    yield Question("create namespaces", "create", "", "namespaces")
    for resource in ("offerings", "consumers", "providers"):
        for verb in ("list", "patch"):
            yield Question(f"{verb} {resource}", verb, GROUP, resource)
    yield Question("set marks of Chandlery", "set", GROUP, "marks")
    system = SYSTEM_NAMESPACE
    for verb in ("get", "list"):
        yield Question(f"{verb} secrets in {system}", verb, "", "secrets", system)
    yield Question(f"have tokens in {system}", "create", "", "serviceaccounts", system, subresource="token")
    yield Question(f"create pods in {system}", "create", "", "pods", system)
    yield from handing_out(system)


def abroad(namespace: str, kinds: Iterable[Resource] = ()) -> Iterator[Question]:
    """In the namespace of another Consumer, or of another's release."""
    for kind in kinds:
        for verb in ("list", "create"):
            yield Question(f"{verb} {kind.plural} in {namespace}", verb, kind.group, kind.plural, namespace)
    for verb in ("get", "list"):
        yield Question(f"{verb} secrets in {namespace}", verb, "", "secrets", namespace)
    yield Question(f"list pods in {namespace}", "list", "", "pods", namespace)
    yield Question(f"run commands in {namespace}", "create", "", "pods", namespace, subresource="exec")
    yield from handing_out(namespace)


def in_release(offering: Offering, release: Released) -> Iterator[Question]:
    """Where its own instance runs: what the Offering opens, and nothing else."""
    namespace, opened = release.namespace, offering.spec.consumer_access
    logs = "spec.consumerAccess.logs" if opened.logs else ""
    forward = "spec.consumerAccess.portForward" if opened.port_forward else ""
    rules = instance_rules(offering, release)
    names = [name for rule in rules if rule["resources"] == ["secrets"] for name in rule["resourceNames"]]

    def asked(verb: str, resource: str, by: str = "", *, group: str = "", name: str = "", sub: str = "") -> Question:
        what = f"{verb} {resource}{sub and '/'}{sub}{name and ' '}{name} in {namespace}"
        return Question(what, verb, group, resource, namespace, name, sub, allowed=bool(by), opened=by)

    for name in names:
        yield asked("get", "secrets", "spec.consumerAccess.secrets", name=name)
    yield from (asked(verb, "secrets") for verb in ("get", "list"))
    yield asked("list", "pods", logs or forward)
    yield asked("get", "pods", logs, sub="log")
    yield asked("create", "pods", forward, sub="portforward")
    yield asked("create", "pods", sub="exec")
    yield asked("patch", "pods", sub="ephemeralcontainers")
    yield asked("create", "pods")
    yield asked("list", "configmaps")
    yield from (asked("delete", resource) for resource in ("resourcequotas", "limitranges"))
    yield asked("delete", NETWORK_POLICIES.plural, group=NETWORK_POLICIES.group)
    yield from handing_out(namespace)


# Answers


def answered(subject: str, question: Question, status: Object) -> Finding:
    """`status` of the review: who allowed it stands in its reason."""
    allowed, why = bool(status.get("allowed")), str(status.get("reason") or "")
    if allowed == question.allowed:
        if allowed and question.opened:
            return Finding(subject, "granted", f"may {question.what}", question.opened)
        return Finding(subject, "allowed" if allowed else "denied", question.what)
    if not allowed:
        return Finding(subject, "wrong", f"may not {question.what}", COMES, question.namespace)
    binding = BINDING.search(why)
    if binding and binding["name"].startswith(EXTRA):
        return Finding(subject, "granted", f"may {question.what}", why)
    fix = taken_away(binding["kind"], binding["name"], binding["namespace"]) if binding else "ask who authorizes it"
    return Finding(subject, "wrong", f"may {question.what}: {why}", fix, question.namespace)


def taken_away(kind: str, name: str, namespace: str | None) -> str:
    where = f" -n {namespace}" if namespace else ""
    if name in (OF_CONSUMER, OF_INSTANCE):
        return f"`kubectl get role {name}{where} -o yaml` shows what is too much; the resync mends it"
    return f"`kubectl delete {kind.lower()} {name}{where}`, {RECORD}"


# Bindings


def bindings_of(consumer: Consumer, bindings: Iterable[Object], ours: Iterable[str]) -> Iterator[Finding]:
    """Of all RoleBindings, those that give its account something in a namespace where it has nothing to look for;
    `ours` are its own namespaces, and the release namespaces of its instances."""
    own, subject = set(ours), f"consumer {consumer.metadata.name}"
    for binding in bindings:
        metadata, role = binding["metadata"], binding["roleRef"]
        namespace, name = metadata["namespace"], metadata["name"]
        if namespace in own or not names(binding, consumer):
            continue
        what = f"has {role['kind']} {role['name']} in {namespace}, by RoleBinding {name}"
        if name.startswith(EXTRA):
            yield Finding(subject, "granted", what, "given with `chandlery grant`")
        else:
            yield Finding(subject, "wrong", what, taken_away("RoleBinding", name, namespace), namespace)


def names(binding: Object, consumer: Consumer) -> bool:
    """Whether its account is among the subjects, by itself or by a group that all accounts are in."""
    user, groups = identity(consumer)
    found = {(each["kind"], each.get("namespace") or "", each["name"]) for each in binding.get("subjects") or []}
    ours = {("ServiceAccount", SYSTEM_NAMESPACE, consumer.account), ("User", "", user)}
    return not found.isdisjoint(ours | {("Group", "", group) for group in groups})
