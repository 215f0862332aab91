"""Which roles and bindings a Consumer and a Provider have. Pure: who they are and what is on offer in, objects out.

All of them bear a label with the name of whom they are for: so what is not wanted any more is found and taken away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from events.base import InstanceKey
from shared import ownership
from shared.access import Consumer, Grantee, Provider
from shared.offering import Offering
from shared.reports import covers
from shared.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SYSTEM_NAMESPACE,
    Resource,
)
from shared.values import substitute

Rule = dict[str, Any]
Object = dict[str, Any]

USING = ["get", "list", "watch", "create", "update", "patch", "delete"]
READING = ["get", "list", "watch"]
OF_CONSUMER = "chandlery:consumer"
OF_INSTANCE = "chandlery:consumer-access"
VIEW = "chandlery:provider-view"
"""What providers see of a release; an administrator's ClusterRole (knative/base/rbac.yaml), without Secrets."""
ACT_AS = "chandlery:act-as:"
"""The right to act as one Consumer or Provider, for those who do what it asks for over NATS: grants.yaml says who."""
ACTING = ("accept-request", "accept-usage", "functions")
EXTRA = "chandlery:extra:"
"""Rights that somebody gave besides (cli/grants.py): theirs to take away, and gone with whom they are for."""
KINDS: tuple[Resource, ...] = (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, ROLES, CLUSTER_ROLES)
"""Bindings come first: without one a role gives nobody anything."""


@dataclass(frozen=True)
class Released:
    """A release namespace, and what its release is called where that matters."""

    namespace: str
    instance: InstanceKey
    release: str = ""


@dataclass(frozen=True)
class Owned:
    """An object that is to be."""

    resource: Resource
    body: Object

    @property
    def key(self) -> tuple[str, str, str]:
        return key_of(self.resource, self.body)


def key_of(resource: Resource, body: Object) -> tuple[str, str, str]:
    return resource.plural, body["metadata"].get("namespace", ""), body["metadata"]["name"]


# Consumers


def on_offer(consumer: Consumer, offerings: Iterable[Offering]) -> list[Offering]:
    """Those that it may order and that ever were published: the kind of any other may be somebody else's."""
    found = [
        offering
        for offering in offerings
        if consumer.may_order(offering.metadata.name) and offering.status.api.crd == offering.crd
    ]
    return sorted(found, key=lambda offering: offering.metadata.name)


def unknown(consumer: Consumer, offerings: Iterable[Offering]) -> list[str]:
    there = {offering.metadata.name for offering in on_offer(consumer, offerings)}
    return sorted({*consumer.spec.offerings} - there - {"*"})


def of_consumer(
    consumer: Consumer, namespaces: Iterable[str], offerings: Iterable[Offering], releases: Iterable[Released]
) -> list[Owned]:
    """In the `namespaces` it has, and in the release namespaces of its instances what their Offerings open."""
    offerings = [*offerings]
    offered = on_offer(consumer, offerings)
    found = [account(consumer), *acting(consumer)]
    having = set(namespaces)
    for namespace in sorted(having):
        found += pair(consumer, ROLES, OF_CONSUMER, consumer_rules(offered), namespace)
    by_name = {offering.metadata.name: offering for offering in offerings}
    for release in releases:
        offering = by_name.get(release.instance.offering)
        if offering and release.instance.namespace in having:
            found += of_instance(consumer, offering, release)
    return found


def consumer_rules(offered: Iterable[Offering]) -> list[Rule]:
    offered = [*offered]
    by_group: dict[str, set[str]] = {}
    for offering in offered:
        by_group.setdefault(offering.spec.api.group, set()).add(offering.plural)
    rules: list[Rule] = []
    for group, plurals in sorted(by_group.items()):
        rules.append(rule([group], sorted(plurals), USING))
        rules.append(rule([group], [f"{plural}/status" for plural in sorted(plurals)], ["get"]))
    rules.append(rule(["", "events.k8s.io"], ["events"], READING))
    rules.append(rule([""], ["resourcequotas"], READING))
    if any(with_secrets(offering) for offering in offered):
        rules.append(rule([""], ["secrets"], USING))
    return rules


def with_secrets(offering: Offering) -> bool:
    """Whether its consumers give it Secrets, or are given any."""
    return bool(offering.spec.exports) or any(each.secret for each in offering.spec.parameters or ())


def of_instance(consumer: Consumer, offering: Offering, release: Released) -> list[Owned]:
    rules = instance_rules(offering, release)
    if not rules:
        return []
    labels = ownership.labels(release.instance)
    return pair(consumer, ROLES, OF_INSTANCE, rules, release.namespace, labels)


def instance_rules(offering: Offering, release: Released) -> list[Rule]:
    access = offering.spec.consumer_access
    rules = []
    if access.logs or access.port_forward:
        rules.append(rule([""], ["pods"], READING))
    if access.logs:
        rules.append(rule([""], ["pods/log"], ["get"]))
    if access.port_forward:
        rules.append(rule([""], ["services"], ["get", "list"]))
        rules.append(rule([""], ["pods/portforward"], ["create"]))
    if access.secrets:
        known = words(release)
        names = [substitute(each, known, "spec.consumerAccess.secrets") for each in access.secrets]
        rules.append(rule([""], ["secrets"], ["get"]) | {"resourceNames": names})
    return rules


def words(release: Released) -> dict[str, str]:
    """What $(...) stands for."""
    return {
        "instance.name": release.instance.name,
        "instance.namespace": release.instance.namespace,
        "instance.uid": release.instance.uid,
        "offering.name": release.instance.offering,
        "release.name": release.release,
        "release.namespace": release.namespace,
    }


# Providers


def of_provider(provider: Provider, offerings: Iterable[Offering], releases: Iterable[Released]) -> list[Owned]:
    offerings = [*offerings]
    name = role_of(provider)
    return [
        account(provider),
        *acting(provider),
        *pair(provider, CLUSTER_ROLES, name, provider_rules(provider, offerings)),
        *in_system(provider, name, offerings),
        *[
            sight(provider, release)
            for release in sorted(releases, key=lambda release: release.namespace)
            if release.instance.group in provider.spec.api_groups
        ],
    ]


def role_of(provider: Provider) -> str:
    return f"chandlery:provider:{provider.metadata.name}"


def offered_by(provider: Provider, offerings: Iterable[Offering]) -> list[Offering]:
    found = [each for each in offerings if each.spec.api.group in provider.spec.api_groups]
    return sorted(found, key=lambda offering: offering.metadata.name)


def names_of(provider: Provider, offerings: Iterable[Offering]) -> list[str]:
    """Of its Offerings, and names promised to it that nobody else has taken: what a list shows can't be filtered by
    RBAC, and the values that another provider fixed are not its business."""
    offerings = [*offerings]
    ours = {offering.metadata.name for offering in offered_by(provider, offerings)}
    taken = {offering.metadata.name for offering in offerings} - ours
    return sorted(ours | ({*provider.spec.offerings} - taken))


def provider_rules(provider: Provider, offerings: Iterable[Offering]) -> list[Rule]:
    """`offer` on `offerings` of a group stands for nothing else: knative/base/providers.yaml asks for it."""
    offerings = [*offerings]
    groups = sorted(set(provider.spec.api_groups))
    rules = [rule(groups, ["offerings"], ["offer"]), rule([GROUP], ["offerings"], ["create"])]
    if names := names_of(provider, offerings):
        changing = ["get", "list", "watch", "update", "patch", "delete"]
        rules.append(rule([GROUP], ["offerings"], changing) | {"resourceNames": names})
    kinds: dict[str, set[str]] = {}
    for offering in offered_by(provider, offerings):
        if offering.status.api.crd == offering.crd:
            kinds.setdefault(offering.spec.api.group, set()).add(offering.plural)
    return [*rules, *[rule([group], sorted(plurals), READING) for group, plurals in sorted(kinds.items())]]


def in_system(provider: Provider, name: str, offerings: Iterable[Offering]) -> list[Owned]:
    """In namespace chandlery: what was found out about its charts, and the Secrets it was given to fetch them."""
    found = [f"offering-{offering.metadata.name}" for offering in offered_by(provider, offerings)]
    rules = [rule([""], ["configmaps"], ["get"]) | {"resourceNames": found}] if found else []
    if provider.spec.secrets:
        rules.append(rule([""], ["secrets"], ["get"]) | {"resourceNames": sorted(set(provider.spec.secrets))})
    return pair(provider, ROLES, name, rules, SYSTEM_NAMESPACE) if rules else []


def sight(provider: Provider, release: Released) -> Owned:
    labels = ownership.labels(release.instance)
    return binding(provider, ROLE_BINDINGS, role_of(provider), (CLUSTER_ROLES, VIEW), release.namespace, labels)


# Both


def rule(groups: list[str], resources: list[str], verbs: list[str]) -> Rule:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def account(who: Grantee) -> Owned:
    metadata = {"name": who.account, "namespace": SYSTEM_NAMESPACE, "labels": who.labels}
    return Owned(SERVICE_ACCOUNTS, {"metadata": metadata, "automountServiceAccountToken": False})


def acting(who: Grantee) -> list[Owned]:
    """RBAC knows no patterns of names, and beside these accounts are those of our own functions: a role for each."""
    if not who.spec.nats:
        return []
    impersonating = rule([""], ["serviceaccounts"], ["impersonate"]) | {"resourceNames": [who.account]}
    role, bound = pair(who, ROLES, f"{ACT_AS}{who.account}", [impersonating], SYSTEM_NAMESPACE)
    ours = [subject("ServiceAccount", name, SYSTEM_NAMESPACE) for name in ACTING]
    return [role, Owned(bound.resource, {**bound.body, "subjects": ours})]


def subjects(who: Grantee) -> list[Object]:
    ours = {"kind": "ServiceAccount", "name": who.account, "namespace": SYSTEM_NAMESPACE}
    return [ours, *[subject(each.kind, each.name, each.namespace) for each in who.spec.subjects]]


def subject(kind: str, name: str, namespace: str | None) -> Object:
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"kind": kind, "name": name, "apiGroup": ROLES.group}


def pair(
    who: Grantee,
    resource: Resource,
    name: str,
    rules: list[Rule],
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[Owned]:
    """A role and its binding, of the same name."""
    binds = ROLE_BINDINGS if resource == ROLES else CLUSTER_ROLE_BINDINGS
    role = Owned(resource, {"metadata": metadata(who, name, namespace, labels), "rules": rules})
    return [role, binding(who, binds, name, (resource, name), namespace, labels)]


def binding(
    who: Grantee,
    resource: Resource,
    name: str,
    role: tuple[Resource, str],
    namespace: str | None,
    labels: Mapping[str, str] | None = None,
) -> Owned:
    reference = {"apiGroup": ROLES.group, "kind": role[0].kind, "name": role[1]}
    body = {"metadata": metadata(who, name, namespace, labels), "roleRef": reference, "subjects": subjects(who)}
    return Owned(resource, body)


def metadata(who: Grantee, name: str, namespace: str | None, labels: Mapping[str, str] | None) -> Object:
    where = {"namespace": namespace} if namespace else {}
    return {"name": name, **where, "labels": {**(labels or {}), **who.labels}}


# What there is, and what there should be


@dataclass(frozen=True)
class Changes:
    """In the order they are made: what is too much goes first."""

    delete: tuple[Owned, ...]
    apply: tuple[Owned, ...]

    def __bool__(self) -> bool:
        return bool(self.delete or self.apply)


def changes(wanted: Iterable[Owned], found: Iterable[Owned]) -> Changes:
    there, wanted = {each.key: each for each in found}, [*wanted]
    keep = {each.key for each in wanted}
    too_many = [each for key, each in there.items() if key not in keep and not is_extra(each)]
    other = [each for each in wanted if each.key in there and rebound(there[each.key], each)]
    lacking = [each for each in wanted if each.key not in there or not covers(there[each.key].body, each.body)]
    return Changes(in_order([*too_many, *other]), in_order(lacking, roles_first=True))


def is_extra(owned: Owned) -> bool:
    return str(owned.body["metadata"]["name"]).startswith(EXTRA)


def rebound(there: Owned, wanted: Owned) -> bool:
    """A binding can't be turned to another role: it is made anew."""
    return bool(there.body.get("roleRef") != wanted.body.get("roleRef"))


def in_order(objects: Iterable[Owned], *, roles_first: bool = False) -> tuple[Owned, ...]:
    def place(owned: Owned) -> int:
        order = KINDS.index(owned.resource) if owned.resource in KINDS else len(KINDS)
        return -order if roles_first else order

    return tuple(sorted(objects, key=place))
