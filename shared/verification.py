"""Reading what shared/isolation.py judges: with whoever's rights, and saying what these did not show."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from events.base import InstanceKey
from shared import isolation, policies
from shared.access import CONSUMER, Consumer
from shared.cluster import Cluster, Object
from shared.errors import ApiError, NotFound
from shared.instance import Instance
from shared.isolation import Finding, Home, Question
from shared.offering import Offering
from shared.releases import namespace_for
from shared.resources import (
    CONSUMERS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    OFFERINGS,
    PODS,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    SUBJECT_ACCESS_REVIEWS,
    Resource,
    of_offering,
)

AT_ONCE = 8
OURS = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES, SERVICE_ACCOUNTS)


@dataclass
class Seen:
    """All instances with all that isolates them."""

    findings: list[Finding] = field(default_factory=list)
    instances: dict[str, tuple[InstanceKey, Instance]] = field(default_factory=dict)
    """By namespace/name."""


class Verification:
    """One look at everything, or at one instance and its neighbours."""

    def __init__(self, cluster: Cluster, only: str | None = None) -> None:
        self._cluster = cluster
        self._only = only
        self._turns = asyncio.Semaphore(AT_ONCE)
        self.seen = Seen()

    async def look(self) -> Seen:
        offerings = [Offering.model_validate(each) for each in await self._list(OFFERINGS)]
        consumers = [Consumer.model_validate(each) for each in await self._list(CONSUMERS)]
        namespaces = {each["metadata"]["name"]: each for each in await self._list(NAMESPACES)}
        found = await asyncio.gather(*[self._instances(each) for each in offerings if each.status.api.crd])
        instances = [each for part in found for each in part]
        homes = await self._homes(instances, namespaces)
        mine = [home for home in homes if self._only in (None, home.instance)]
        for home in mine:
            self.seen.findings += isolation.bounds(home)
        self.seen.findings += [
            each for each in isolation.between(homes, self._only) if self._only in (None, each.subject)
        ]
        await self._rights(consumers, offerings, namespaces, mine)
        return self.seen

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
            self.seen.findings.append(Finding("", "unseen", resource.plural, "ask with more rights to see them"))
            return []

    async def _instances(self, offering: Offering) -> list[tuple[InstanceKey, Instance, Offering]]:
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
                found.append((key, instance, offering))
        return found

    async def _homes(
        self, instances: list[tuple[InstanceKey, Instance, Offering]], namespaces: dict[str, Object]
    ) -> list[Home]:
        lists = await asyncio.gather(*map(self._list, OURS), self._list(PODS))
        ours: dict[str, dict[Resource, Object]] = defaultdict(dict)
        network: dict[str, list[Object]] = defaultdict(list)
        for resource, items in zip(OURS, lists, strict=False):
            for each in items:
                metadata = each["metadata"]
                if metadata["name"] == (policies.NAME if resource != SERVICE_ACCOUNTS else "default"):
                    ours[metadata["namespace"]][resource] = each
                if resource == NETWORK_POLICIES:
                    network[metadata["namespace"]].append(each)
        labels: dict[str, set[frozenset[tuple[str, str]]]] = defaultdict(set)
        for pod in lists[-1]:
            labels[pod["metadata"]["namespace"]].add(frozenset((pod["metadata"].get("labels") or {}).items()))
        named = {policies.name_of(key): (key, instance) for key, instance, _ in instances}
        homes = []
        for key, instance, offering in instances:
            name = instance.status.release.namespace or namespace_for(offering, instance)
            self.seen.instances[f"{key.namespace}/{key.name}"] = (key, instance)
            if name not in namespaces:
                continue
            others = [named[each][1] for each in policies.names_of(instance) if each in named]
            peers = [other.status.release.namespace or "" for other in others if policies.open_to(other, key)]
            expected = policies.namespace_object(key, offering, name)
            security = {
                label: level
                for label, level in expected["metadata"]["labels"].items()
                if label.startswith("pod-security.kubernetes.io/")
            }
            homes.append(
                Home(
                    instance=f"{key.namespace}/{key.name}",
                    consumer=consumer_of(namespaces.get(key.namespace)),
                    namespace=namespaces[name],
                    wanted=policies.wanted(key, offering, instance, name, peers),
                    labels=security,
                    found=ours[name],
                    network=tuple(network[name]),
                    pods=tuple(dict(each) for each in labels[name]),
                )
            )
        return homes

    async def _rights(
        self,
        consumers: list[Consumer],
        offerings: list[Offering],
        namespaces: dict[str, Object],
        homes: Iterable[Home],
    ) -> None:
        by_name = {each.metadata.name: each for each in consumers if not each.withdrawn}
        by_instance = {name: key.offering for name, (key, _) in self.seen.instances.items()}
        offered = {each.metadata.name: each for each in offerings}
        asked: list[tuple[str, Consumer, Question]] = []
        theirs = {name: consumer_of(each) for name, each in namespaces.items()}
        concerned = {home.consumer for home in homes} if self._only else {*by_name}
        for name in sorted(concerned & by_name.keys()):
            consumer = by_name[name]
            kinds = [
                of_offering(each) for each in offerings if each.published and consumer.may_order(each.metadata.name)
            ]
            others = sorted(each for each, whose in theirs.items() if whose and whose != name)[:OTHERS]
            asked += [(f"consumer {name}", consumer, each) for each in isolation.of_consumer(consumer, kinds, others)]
        for home in homes:
            if home.consumer in by_name:
                questions = isolation.of_release(home.name, offered[by_instance[home.instance]])
                asked += [(home.instance, by_name[home.consumer], each) for each in questions]
        self.seen.findings += [each for each in await asyncio.gather(*[self._ask(*each) for each in asked]) if each]

    async def _ask(self, subject: str, consumer: Consumer, question: Question) -> Finding | None:
        try:
            async with self._turns:
                review = await self._cluster.create(
                    SUBJECT_ACCESS_REVIEWS, {"metadata": {}, **question.review(*isolation.identity(consumer))}
                )
        except ApiError as error:
            if error.status != 403:
                raise
            return Finding(subject, "unseen", f"whether it may {question.what}", "ask with the right to review access")
        return isolation.answered(subject, question, review.get("status") or {})


OTHERS = 5
"""Namespaces of others that each Consumer's rights are tried in."""


def consumer_of(namespace: Object | None) -> str:
    metadata = (namespace or {}).get("metadata", {})
    return str((metadata.get("labels") or {}).get(CONSUMER, ""))
