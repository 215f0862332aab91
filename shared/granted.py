"""Putting rights in force and taking them away: what grant_access does for a Consumer or a Provider.

What is wanted is worked out again after it was put in force: of two events at work at once, whichever wrote last looks
last, so what stays was made from what is there now.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from shared import finalizers, grants, kubeconfigs, ownership
from shared.access import CONSUMER, Consumer, Grantee, Provider, account_of, secret_of
from shared.cluster import Cluster, Object
from shared.conditions import Condition, condition
from shared.errors import ApiError, Conflict, NotFound, Refused, RetryLater
from shared.grants import KINDS, Owned, Released
from shared.instance import Instance
from shared.offering import ConsumerAccess, Offering
from shared.reports import report_grantee
from shared.resources import (
    CONSUMERS,
    NAMESPACES,
    OFFERINGS,
    PROVIDERS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SYSTEM_NAMESPACE,
    Resource,
    of_instance,
)

BY = "grant_access"
TRIES = 5
RESERVED = ("kube-", "chandlery")


@dataclass(frozen=True)
class Scene:
    """What rights follow from, besides from whom they are for."""

    offerings: tuple[Offering, ...]
    releases: tuple[Released, ...]


@dataclass(frozen=True)
class Refusal:
    reason: str
    message: str


# Looking


async def scene(cluster: Cluster) -> Scene:
    # Not from the cache: what is decided from it is checked once more after it was done.
    listed, homes = await asyncio.gather(
        cluster.list(OFFERINGS), cluster.list(NAMESPACES, labels={ownership.UID: ""}, metadata_only=True)
    )
    offerings = tuple(Offering.model_validate(each) for each in listed["items"])
    named = {offering.metadata.name for offering in offerings if needs_name(offering)}
    releases = await asyncio.gather(*[released(cluster, home, named) for home in homes["items"]])
    return Scene(offerings, tuple(each for each in releases if each))


def needs_name(offering: Offering) -> bool:
    return any("$(release.name)" in each for each in offering.spec.consumer_access.secrets)


async def released(cluster: Cluster, home: Object, named: Iterable[str]) -> Released | None:
    """None for a namespace that is no release's, or is going."""
    key = ownership.instance_of(home)
    if key is None or "deletionTimestamp" in home["metadata"]:
        return None
    release = ""
    if key.offering in named:
        try:
            found = await cluster.get(of_instance(key), key.name, key.namespace, cached=True)
        except NotFound:
            found = None
        release = (found and Instance.model_validate(found).status.release.name) or ""
    return Released(home["metadata"]["name"], key, release)


async def found_of(cluster: Cluster, labels: dict[str, str]) -> list[Owned]:
    """All roles, bindings and service accounts with the label, wherever they are."""
    lists = await asyncio.gather(
        *[cluster.list(kind, labels=labels) for kind in KINDS],
        cluster.list(SERVICE_ACCOUNTS, SYSTEM_NAMESPACE, labels=labels),
    )
    kinds = (*KINDS, SERVICE_ACCOUNTS)
    return [Owned(kind, body) for kind, found in zip(kinds, lists, strict=True) for body in found["items"]]


async def consumer_of(cluster: Cluster, name: str) -> Consumer | None:
    found = await cluster.get(CONSUMERS, name)
    return Consumer.model_validate(found) if found else None


async def provider_of(cluster: Cluster, name: str) -> Provider | None:
    found = await cluster.get(PROVIDERS, name)
    return Provider.model_validate(found) if found else None


# Putting in force


async def grant_consumer(cluster: Cluster, name: str) -> None:
    for _ in range(TRIES):
        consumer = await consumer_of(cluster, name)
        if consumer is None or consumer.withdrawn:
            await withdraw_consumer(cluster, name)  # also what was given a moment ago, before this was known
            return
        await finalizers.hold(cluster, CONSUMERS, consumer.metadata, finalizers.ACCESS, BY)
        having, refused = await namespaces(cluster, consumer)
        now = await scene(cluster)
        wanted = grants.of_consumer(consumer, having, now.offerings, now.releases)
        if await put(cluster, consumer, wanted):
            continue
        lacking = grants.unknown(consumer, now.offerings)
        await finish(cluster, consumer, having[:1] or ["default"], refused, waiting(lacking), namespaces=having)
        return
    raise RetryLater(f"the rights of consumer {name} are changed by too many at once")


async def grant_provider(cluster: Cluster, name: str) -> None:
    for _ in range(TRIES):
        provider = await provider_of(cluster, name)
        if provider is None or provider.withdrawn:
            await withdraw_provider(cluster, name)  # also what was given a moment ago, before this was known
            return
        await finalizers.hold(cluster, PROVIDERS, provider.metadata, finalizers.ACCESS, BY)
        now = await scene(cluster)
        wanted = grants.of_provider(provider, now.offerings, now.releases)
        if await put(cluster, provider, wanted):
            continue
        await finish(cluster, provider, ["default"], None, "")
        return
    raise RetryLater(f"the rights of provider {name} are changed by too many at once")


async def put(cluster: Cluster, who: Grantee, wanted: list[Owned]) -> bool:
    """Whether anything had to be done."""
    todo = grants.changes(wanted, await found_of(cluster, {who.MARK: who.metadata.name}))
    for each in todo.delete:
        await remove(cluster, each)
    for resource in sorted({each.resource for each in todo.apply}, key=order):
        await asyncio.gather(*[apply(cluster, each) for each in todo.apply if each.resource == resource])
    return bool(todo)


def order(resource: Resource) -> int:
    """Roles, then what binds them."""
    return -KINDS.index(resource) if resource in KINDS else -len(KINDS)


async def apply(cluster: Cluster, owned: Owned) -> None:
    try:
        await cluster.apply(owned.resource, owned.body, BY)
    except NotFound as gone:
        raise RetryLater(f"its namespace went away: {gone}") from gone
    except ApiError as error:
        if error.status == 403 and "being terminated" in error.message:
            raise RetryLater(error.message) from error
        raise


async def remove(cluster: Cluster, owned: Owned) -> None:
    metadata = owned.body["metadata"]
    await cluster.delete(owned.resource, metadata["name"], metadata.get("namespace"))


async def finish(
    cluster: Cluster, who: Grantee, context: list[str], refused: Refusal | None, note: str, **status: object
) -> None:
    """Credentials, once there are rights to use them for; and what came of it all."""
    account = await cluster.get(SERVICE_ACCOUNTS, who.account, SYSTEM_NAMESPACE)
    if account is None:
        raise RetryLater(f"service account {who.account} went away just now")
    issued: dict[str, str] = {}
    try:
        term = await kubeconfigs.issue(cluster, who, account, context[0])
        issued = {"secretName": secret_of(who.account), "expires": kubeconfigs.told(term.expires)}
    except Refused as no:
        refused = refused or Refusal(no.reason, no.message)
    said = ready(who, refused, note)
    told = {"observedGeneration": who.metadata.generation, "kubeconfig": issued}
    await report_grantee(cluster, who, BY, [said], **told, **status)


def ready(who: Grantee, refused: Refusal | None, note: str) -> Condition:
    generation = who.metadata.generation
    if refused:
        return condition("Ready", False, refused.reason, refused.message, generation)
    return condition("Ready", True, "Granted", note, generation)


def waiting(lacking: list[str]) -> str:
    if not lacking:
        return ""
    return f"spec.offerings: not published: {', '.join(lacking)}; granted when they are"


# Namespaces


async def namespaces(cluster: Cluster, consumer: Consumer) -> tuple[list[str], Refusal | None]:
    """Which of those it asks for it has; and why it has not got the first that it has not."""
    having, refused = [], None
    for index, name in enumerate(dict.fromkeys(consumer.namespaces)):
        field = f"spec.namespaces[{index}]" if consumer.spec.namespaces else "metadata.name"
        try:
            await namespace(cluster, consumer, name, field)
            having.append(name)
        except Refused as no:
            refused = refused or Refusal(no.reason, no.message)
    return having, refused


async def namespace(cluster: Cluster, consumer: Consumer, name: str, field: str) -> None:
    if name.startswith(RESERVED):
        raise Refused("NamespaceReserved", f"{field}: {name} is not for consumers; choose another name")
    existing = await cluster.get(NAMESPACES, name)
    if existing is None:
        try:
            await cluster.create(NAMESPACES, {"metadata": {"name": name, "labels": consumer.labels}})
        except Conflict as twice:
            raise RetryLater(f"namespace {name} is being made by somebody else", after=0.1) from twice
        return
    check_namespace(existing, consumer.metadata.name, field)


def check_namespace(existing: Object, consumer: str, field: str) -> None:
    """Whether it is this Consumer's, by the label that only Chandlery and administrators may set."""
    metadata = existing["metadata"]
    name, labels = metadata["name"], metadata.get("labels") or {}
    owner = labels.get(CONSUMER)
    if ownership.UID in labels:
        raise Refused("NamespaceTaken", f"{field}: {name} is the namespace of a release; choose another name")
    if owner != consumer:
        whose = f"consumer {owner}'s" if owner else "there already, and nobody said that it is this consumer's"
        fix = (
            "choose another name" if owner else f"if it is, run `kubectl label namespace {name} {CONSUMER}={consumer}`"
        )
        raise Refused("NamespaceTaken", f"{field}: {name} is {whose}; {fix}")
    if "deletionTimestamp" in metadata:
        raise Refused(
            "NamespaceTerminating", f"{field}: {name} is being deleted; this goes on by itself when it is gone"
        )


# Taking away


async def withdraw_consumer(cluster: Cluster, name: str) -> None:
    """Its namespaces stay, and its instances with them: what runs there is somebody's work."""
    consumer = await consumer_of(cluster, name)
    if consumer and not consumer.withdrawn:
        return
    await revoke(cluster, {Consumer.MARK: name}, account_of(CONSUMERS, name))
    if consumer:
        await finalizers.let_go(cluster, CONSUMERS, consumer.metadata, finalizers.ACCESS)


async def withdraw_provider(cluster: Cluster, name: str) -> None:
    provider = await provider_of(cluster, name)
    if provider and not provider.withdrawn:
        return
    await revoke(cluster, {Provider.MARK: name}, account_of(PROVIDERS, name))
    if provider:
        await finalizers.let_go(cluster, PROVIDERS, provider.metadata, finalizers.ACCESS)


async def revoke(cluster: Cluster, labels: dict[str, str], account: str) -> None:
    """Bindings first: that acts at once. The token dies with its Secret, up to ten seconds later."""
    found = await found_of(cluster, labels)
    bindings = [each for each in found if "roleRef" in each.body]
    await asyncio.gather(*[remove(cluster, each) for each in bindings])
    await cluster.delete(SECRETS, secret_of(account), SYSTEM_NAMESPACE)
    await asyncio.gather(*[remove(cluster, each) for each in found if each not in bindings])


# When something else changed


async def reconsider(cluster: Cluster, offering: str) -> None:
    """Those whose rights depend on an Offering that was published or retired."""
    await reconsider_providers(cluster)
    for body in (await cluster.list(CONSUMERS))["items"]:
        if Consumer.model_validate(body).may_order(offering):
            await grant_consumer(cluster, body["metadata"]["name"])


async def reconsider_providers(cluster: Cluster) -> None:
    """All of them: the name of an Offering that was one's may be another's now."""
    for body in (await cluster.list(PROVIDERS))["items"]:
        await grant_provider(cluster, body["metadata"]["name"])


async def is_opened(cluster: Cluster, offering: Offering) -> bool:
    """Whether anybody sees its releases: mostly nobody does, and asking that costs one request."""
    if offering.spec.consumer_access != ConsumerAccess():
        return True
    providers = (await cluster.list(PROVIDERS, cached=True))["items"]
    return any(offering.spec.api.group in each["spec"]["apiGroups"] for each in providers)


async def open_release(cluster: Cluster, offering: Offering, release: Released) -> None:
    """Let those see a new release who may: its providers, and its consumer what the Offering opens."""
    wanted: list[Owned] = []
    for body in (await cluster.list(PROVIDERS, cached=True))["items"]:
        provider = Provider.model_validate(body)
        if release.instance.group in provider.spec.api_groups and not provider.withdrawn:
            wanted.append(grants.sight(provider, release))
    if grants.instance_rules(offering, release):
        home = await cluster.get(NAMESPACES, release.instance.namespace, cached=True) or {"metadata": {}}
        name = (home["metadata"].get("labels") or {}).get(CONSUMER)
        consumer = await consumer_of(cluster, name) if name else None
        if consumer and not consumer.withdrawn and release.instance.namespace in consumer.status.namespaces:
            wanted += grants.of_instance(consumer, offering, release)
    for each in wanted:
        await put_one(cluster, each)


async def put_one(cluster: Cluster, owned: Owned) -> None:
    """A create costs less than an apply, and mostly that is all."""
    try:
        await cluster.create(owned.resource, owned.body)
    except Conflict:
        await apply(cluster, owned)
