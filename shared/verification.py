"""Reading what isolation.py, questions.py and reachability.py judge: with whoever's rights, and saying what these did
not show."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from events.base import InstanceKey
from shared import isolation, ownership, policies, questions, reachability
from shared.access import CONSUMER, Consumer
from shared.cluster import Cluster, Object
from shared.errors import ApiError, NotFound
from shared.grants import Released, on_offer, with_secrets
from shared.instance import Instance
from shared.isolation import Finding, Home
from shared.netpol import Pod, Port
from shared.offering import Offering
from shared.questions import Question
from shared.releases import name_for, namespace_for
from shared.resources import (
    CONSUMERS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    OFFERINGS,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    SUBJECT_ACCESS_REVIEWS,
    Resource,
    of_offering,
)

AT_ONCE = 8
OTHERS = 2
"""Namespaces of others, and release namespaces of theirs, that each Consumer's rights are tried in."""
BOUNDS = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, SERVICE_ACCOUNTS)
LISTED = (OFFERINGS, CONSUMERS, NAMESPACES, *BOUNDS, PODS, ROLE_BINDINGS)
OVER = ("Succeeded", "Failed")

Asked = tuple[str, Consumer, Question]
"""Whose finding it becomes, and who is asked about."""


@dataclass(frozen=True)
class One:
    """An instance that was installed."""

    key: InstanceKey
    instance: Instance
    offering: Offering
    consumer: str

    @property
    def name(self) -> str:
        return policies.name_of(self.key)

    @property
    def home(self) -> str:
        return namespace_for(self.offering, self.instance)

    @property
    def namespaces(self) -> tuple[str, str]:
        return self.key.namespace, self.home

    def called(self, said: str) -> bool:
        """By its full name, or as namespace/name."""
        return said in (self.name, f"{self.key.namespace}/{self.key.name}")


@dataclass
class Seen:
    findings: list[Finding] = field(default_factory=list)
    instances: list[One] = field(default_factory=list)

    def of(self, one: One) -> list[Finding]:
        return isolation.concerning(self.findings, one.name, one.consumer, one.namespaces)


class Verification:
    """One look at everything, or at one instance and its neighbours."""

    def __init__(self, cluster: Cluster, only: str | None = None) -> None:
        self._cluster = cluster
        self._only = only
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._hidden: set[Resource] = set()
        self._found: list[Finding] = []

    async def look(self) -> Seen:
        lists = dict(zip(LISTED, await asyncio.gather(*map(self._list, LISTED)), strict=True))
        offerings = [Offering.model_validate(each) for each in lists[OFFERINGS]]
        namespaces = {each["metadata"]["name"]: each for each in lists[NAMESPACES]}
        found = await asyncio.gather(*[self._instances(each, namespaces) for each in offerings if each.status.api.crd])
        everyone = [each for part in found for each in part]
        mine = [each for each in everyone if self._only is None or each.called(self._only)]
        homes = homes_of(everyone, namespaces, lists, frozenset(self._hidden))
        about = {each.name for each in mine}
        for home in homes:
            if home.instance in about:
                self._found += isolation.bounds(home)
        if NAMESPACES not in self._hidden:
            lost = [each for each in mine if each.home not in namespaces]
            self._found += [isolation.homeless(each.name, each.home) for each in lost]
        strangers = outsiders(lists[PODS], namespaces)
        # In a thread: it is arithmetic, and there may be much of it.
        self._found += await asyncio.to_thread(reached, homes, strangers, about)
        consumers = [Consumer.model_validate(each) for each in lists[CONSUMERS]]
        await self._rights(Tenants(consumers, offerings, everyone, lists[ROLE_BINDINGS]), mine)
        return Seen(self._found, mine)

    async def _list(self, resource: Resource) -> list[Object]:
        """Nothing, and a word about it, where whoever looks may not."""
        try:
            async with self._turns:
                return list((await self._cluster.list(resource, cached=True))["items"])
        except NotFound:
            return []
        except ApiError as error:
            if error.status != 403:
                raise
            self._hidden.add(resource)
            self._found.append(Finding("", "unseen", resource.plural, "ask with more rights to see them"))
            return []

    async def _instances(self, offering: Offering, namespaces: Mapping[str, Object]) -> list[One]:
        kind = of_offering(offering)
        found = []
        for each in await self._list(kind):
            instance = Instance.model_validate(each)
            metadata = instance.metadata
            key = InstanceKey(
                offering=offering.metadata.name,
                group=kind.group,
                version=kind.version,
                plural=kind.plural,
                kind=kind.kind,
                namespace=metadata.namespace or "",
                name=metadata.name,
                uid=metadata.uid,
            )
            if not instance.withdrawn and instance.holds("Deployed"):
                found.append(One(key, instance, offering, consumer_of(namespaces.get(key.namespace))))
        return found

    async def _rights(self, tenants: "Tenants", mine: list[One]) -> None:
        concerned = {each.consumer for each in mine} if self._only else {*tenants.by_name}
        about = {each.name for each in mine}
        asked = [each for name in sorted(concerned & {*tenants.by_name}) for each in tenants.questions(name, about)]
        self._found += await asyncio.gather(*[self._ask(*each) for each in asked])
        subjects = {f"consumer {name}" for name in concerned}
        where = {namespace for each in mine for namespace in each.namespaces}
        self._found += [each for each in tenants.strays() if each.subject in subjects or each.namespace in where]

    async def _ask(self, subject: str, consumer: Consumer, question: Question) -> Finding:
        body = {"metadata": {}, **question.review(*questions.identity(consumer))}
        try:
            async with self._turns:
                review = await self._cluster.create(SUBJECT_ACCESS_REVIEWS, body)
        except ApiError as error:
            if error.status != 403:
                raise
            return Finding("", "unseen", "what Consumers may do", "ask with the right to create SubjectAccessReviews")
        return questions.answered(subject, question, review.get("status") or {})


def reached(homes: list[Home], strangers: list[Pod], about: set[str]) -> list[Finding]:
    return [each for each in reachability.network(homes, strangers, about) if each.subject in about]


# Rights


class Tenants:
    """Who has which namespaces, and so nothing to look for in the others."""

    def __init__(
        self, consumers: Iterable[Consumer], offerings: list[Offering], instances: list[One], bindings: list[Object]
    ) -> None:
        self.by_name = {each.metadata.name: each for each in consumers if not each.withdrawn}
        self._offerings = offerings
        self._of: dict[str, list[One]] = defaultdict(list)
        for one in instances:
            self._of[one.consumer].append(one)
        having = {name for each in self.by_name.values() for name in each.status.namespaces}
        having |= {name for each in instances for name in each.namespaces}
        self._bindings = [each for each in bindings if each["metadata"]["namespace"] in having]

    def strays(self) -> Iterator[Finding]:
        for name, consumer in sorted(self.by_name.items()):
            own = [*consumer.status.namespaces, *(one.home for one in self._of[name])]
            yield from questions.bindings_of(consumer, self._bindings, own)

    def questions(self, name: str, about: set[str]) -> Iterator[Asked]:
        """`about`: of the instances, only these."""
        consumer, subject = self.by_name[name], f"consumer {name}"
        offered = on_offer(consumer, self._offerings)
        kinds, secrets = [of_offering(each) for each in offered], any(map(with_secrets, offered))
        for namespace in consumer.status.namespaces:
            for question in questions.at_home(namespace, kinds, secrets=secrets):
                yield subject, consumer, question
        for question in [*questions.in_the_cluster(kinds), *self._abroad(name, kinds)]:
            yield subject, consumer, question
        for one in self._of[name]:
            if one.name in about:
                release = Released(one.home, one.key, name_for(one.offering, one.instance))
                for question in questions.in_release(one.offering, release):
                    yield one.name, consumer, question

    def _abroad(self, name: str, kinds: list[Resource]) -> Iterator[Question]:
        theirs = [each for whose, other in self.by_name.items() if whose != name for each in other.status.namespaces]
        for namespace in sorted(theirs)[:OTHERS]:
            yield from questions.abroad(namespace, kinds)
        releases = [one.home for whose, ones in self._of.items() if whose != name for one in ones]
        for namespace in sorted(releases)[:OTHERS]:
            yield from questions.abroad(namespace)


def consumer_of(namespace: Object | None) -> str:
    return labels_of(namespace).get(CONSUMER, "")


# Release namespaces


def homes_of(
    instances: list[One],
    namespaces: Mapping[str, Object],
    lists: Mapping[Resource, list[Object]],
    hidden: frozenset[Resource],
) -> list[Home]:
    ours: dict[str, dict[Resource, Object]] = defaultdict(dict)
    for resource in BOUNDS:
        name = "default" if resource == SERVICE_ACCOUNTS else policies.NAME
        for each in lists[resource]:
            if each["metadata"]["name"] == name:
                ours[each["metadata"]["namespace"]][resource] = each
    network, pods = by_namespace(lists[NETWORK_POLICIES]), by_namespace(filter(alive, lists[PODS]))
    named = {each.name: each for each in instances}
    return [
        Home(
            instance=one.name,
            consumer=one.consumer,
            namespace=namespaces[one.home],
            expected=policies.namespace_object(one.key, one.offering, one.home),
            wanted=policies.wanted(one.key, one.offering, one.instance, one.home, peers_of(one, named)),
            found=ours[one.home],
            network=tuple(network[one.home]),
            pods=tuple(pod_of(each, namespaces) for each in pods[one.home]),
            on_host=tuple(each["metadata"]["name"] for each in pods[one.home] if uses_host(each)),
            hidden=hidden,
        )
        for one in instances
        if one.home in namespaces
    ]


def peers_of(one: One, named: Mapping[str, One]) -> list[str]:
    """Release namespaces of those that it names, and that name it."""
    others = [named[each] for each in policies.names_of(one.instance) if each in named]
    return [other.home for other in others if policies.open_to(other.instance, one.key)]


def by_namespace(objects: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = defaultdict(list)
    for each in objects:
        found[each["metadata"]["namespace"]].append(each)
    return found


def outsiders(pods: Iterable[Object], namespaces: Mapping[str, Object]) -> list[Pod]:
    """Pods in namespaces that are no release's, and one more for each of these."""
    others = {name: each for name, each in namespaces.items() if ownership.instance_of(each) is None}
    there = [each for each in pods if each["metadata"]["namespace"] in others and alive(each) and not uses_host(each)]
    return [Pod(name, labels_of(each)) for name, each in others.items()] + [pod_of(each, others) for each in there]


def alive(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") not in OVER


def uses_host(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def labels_of(found: Object | None) -> dict[str, str]:
    return (found or {"metadata": {}})["metadata"].get("labels") or {}


def pod_of(pod: Object, namespaces: Mapping[str, Object]) -> Pod:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    containers = [*(spec.get("initContainers") or []), *spec["containers"]]
    named = frozenset(
        (port["name"], Port(port["containerPort"], port.get("protocol", "TCP")))
        for container in containers
        for port in container.get("ports") or []
        if port.get("name")
    )
    address = (pod.get("status") or {}).get("podIP")
    return Pod(namespace, labels_of(namespaces.get(namespace)), labels_of(pod), address, named)
