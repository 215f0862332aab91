"""Install or upgrade the Helm release of an instance, once its namespace is safe to run in.

Helm's own history tells where things stand: each revision is labelled with a hash of all it was made from (same inputs,
nothing to do) and with the process that made it (a pending revision of a dead process is swept up, not waited for).
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from events.base import InstanceKey
from events.instances import InstanceRefused
from events.policies import PoliciesApplied
from events.releases import ReleaseDeployed, ReleaseFailed, ReleaseStalled
from shared import passwords
from shared.attempts import (
    Failure,
    deployed_status,
    failed_status,
    failure_message,
    forbidden,
    last_good,
    next_step,
    stalled,
    too_soon,
    tried_with,
)
from shared.cluster import Cluster
from shared.conditions import Condition, condition
from shared.engine import Review
from shared.errors import ApiError, Conflict, Refused, RetryLater
from shared.function import function
from shared.health import pod_trouble
from shared.helm import AT_ONCE, Applied, Helm, HelmFailed, acting_as, seconds
from shared.instance import Instance, as_offered
from shared.offerings import Offerings
from shared.preflight import Preflight
from shared.releases import Release, release_for
from shared.reports import instance_of, report_instance
from shared.resources import PODS, SECRETS
from shared.secrets import read_secrets
from shared.store import ChartStore
from shared.values import format_path, secret_references

log = structlog.get_logger()

TRIES = 5


async def install_release(
    event: PoliciesApplied | ReleaseStalled,
    cluster: Cluster,
    helm: Helm,
    store: ChartStore,
    preflight: Preflight,
    offerings: Offerings,
) -> ReleaseDeployed | ReleaseFailed | InstanceRefused | None:
    offering = await offerings.get(event.instance.offering)
    key = as_offered(event.instance, offering)
    instance = await instance_of(cluster, key, event.generation if isinstance(event, PoliciesApplied) else None)
    if instance is None or instance.withdrawn or offering is None or not offering.published:
        return None
    if isinstance(event, PoliciesApplied) and event.generation != instance.generation:
        return None  # the spec changed meanwhile, and its own event is on the way
    try:
        references = secret_references(offering.spec.parameters, instance.spec)
        release = release_for(offering, instance, await read_secrets(cluster, references, key.namespace))
    except Refused:
        return None  # admit_instance says so
    now, tried = datetime.now(UTC), tried_with(release, offering)
    result: Applied | Failure
    if isinstance(event, ReleaseStalled):
        if not stalled(instance, now, timedelta(seconds=seconds(release.timeout))):
            return None
        async with helm.turn(release):
            result = await give_up(helm, cluster, instance, release)
    else:
        if too_soon(instance, tried, now):
            return None
        chart = await store.path(release.chart_digest)
        if chart is None:
            raise RetryLater(f"chart {release.chart_digest} is not in the store", after=5)
        async with helm.turn(release):
            slow = partial(say_at_work, cluster, key, instance, release)
            review = preflight.review(offering, instance, release)
            try:
                result = await attempt(helm, cluster, release, chart, review, slow)
            except Refused as refused:
                why = Failure(refused.reason, passwords.hidden(refused.message, release.secrets))
                await tell_refusal(cluster, key, instance, why, failed_status(instance, release, now, why, tried))
                return InstanceRefused(
                    instance=key, generation=instance.generation, reason=refused.reason, message=refused.message
                )
    generation = instance.generation
    if isinstance(result, Applied):
        status = deployed_status(release, offering, result, datetime.now(UTC))
        message = f"{status['chart']} {status['version']}, revision {result.revision}"
        said = condition("Deployed", True, "Deployed", message, generation)
        await tell(cluster, key, instance, [said], status, passwords.hidden(result.notes, release.secrets))
        return ReleaseDeployed(instance=key, generation=generation, revision=result.revision)
    if result.reason == "Forbidden":
        result = replace(result, message=forbidden(result.message, offering.metadata.name))
    status = failed_status(instance, release, now, result, tried)
    said = condition("Deployed", False, result.reason, failure_message(result, status), generation)
    await tell(cluster, key, instance, [said], status, instance.status.notes)
    return ReleaseFailed(instance=key, generation=generation, reason=result.reason)


async def tell(
    cluster: Cluster,
    key: InstanceKey,
    instance: Instance,
    said: list[Condition],
    release: dict[str, Any],
    notes: str | None,
) -> None:
    """The steps before this one said so by their events; what they say of a newer spec meanwhile is left alone."""
    where = f"in namespace {release['namespace']}"
    before = [
        condition("Accepted", True, "Accepted", "", instance.generation),
        condition("Isolated", True, "Isolated", where, instance.generation),
    ]
    steps = [*{each.type: each for each in [*before, *said]}.values()]
    status = {"release": release} | ({"notes": notes} if notes else {})
    for _ in range(TRIES):
        try:
            await report_instance(cluster, key, instance, "install_release", steps, unchanged=True, **status)
            return
        except Conflict:
            current = await instance_of(cluster, key)
            if current is None or current.generation != instance.generation:
                return  # whoever deals with the newer spec tells of it
            instance = current
    raise RetryLater(f"the status of {key.namespace}/{key.name} is changed by too many at once")


async def tell_refusal(
    cluster: Cluster, key: InstanceKey, instance: Instance, why: Failure, release: dict[str, Any]
) -> None:
    """Nothing was begun: what is deployed, and what was said of it, stands."""
    said = condition("Accepted", False, why.reason, failure_message(why, release), instance.generation)
    deployed = instance.condition("Deployed")
    steps = [said, *([deployed] if deployed else [])]
    await tell(cluster, key, instance, steps, release, instance.status.notes)


async def say_at_work(cluster: Cluster, key: InstanceKey, instance: Instance, release: Release) -> None:
    said = condition("Deployed", None, "Installing", "Helm is at work, or waits for a hook", instance.generation)
    known = instance.status.release.model_dump(by_alias=True, exclude_none=True)
    known |= {"namespace": release.namespace, "name": release.name}
    with contextlib.suppress(RetryLater, ApiError):  # Helm goes on, told or not
        await tell(cluster, key, instance, [said], known, instance.status.notes)


async def attempt(
    helm: Helm,
    cluster: Cluster,
    release: Release,
    chart: Path,
    review: Review,
    slow: Callable[[], Awaitable[None]],
) -> Applied | Failure:
    history = await helm.history(release)
    while next_step(history, release.inputs) == "sweep":
        left = history.pop()
        if await helm.unfinished(left):
            raise RetryLater(f"{left.holder} is at work on {release.namespace}/{release.name}", after=2)
        await helm.forget(release, left)
    if next_step(history, release.inputs) == "nothing":
        return await helm.read(release)
    try:
        return await apply(helm, cluster, chart, release, first=not history, review=review, slow=slow)
    except HelmFailed as failed:
        troubles = await pod_troubles(cluster, release.namespace) if "Hook" in failed.reason else ()
        good = last_good(history)
        after = await helm.history(release)
        if good is None or not after or after[-1].status != "failed":
            return Failure(failed.reason, failed.message, troubles=troubles)  # nothing to go back to, or from
        return await back_to(helm, release, good.number, Failure(failed.reason, failed.message, troubles=troubles))


async def apply(
    helm: Helm,
    cluster: Cluster,
    chart: Path,
    release: Release,
    *,
    first: bool,
    review: Review,
    slow: Callable[[], Awaitable[None]],
) -> Applied:
    """With the passwords a chart wants handed back at an upgrade, should it say so.

    Such a chart fails before Helm stores anything. `inputs` stay those of the Offering and the consumer. Some charts
    ask for one password after the other.
    """
    known: passwords.Found = {}
    while True:
        try:
            values = passwords.handed_back(release.values, known)
            asked = replace(release, values=values)
            return await helm.apply(chart, asked, first=first, review=review, slow=slow)
        except HelmFailed as failed:
            asks = not first and failed.reason == "TemplateFailed" and not passwords.planted(release.values)
            wanted = passwords.asked_for(failed.output, release.namespace) if asks else ()
            more = [each for each in wanted if each.path not in known]
            found = await current_passwords(cluster, release.namespace, more)
            if not found or len(known) + len(found) > passwords.ASKED_LIMIT:
                raise HelmFailed(
                    failed.reason, passwords.hidden(failed.message, [*known.values(), *release.secrets])
                ) from None
            log.info("hands passwords back", paths=[format_path(path) for path in found])
            known |= found


async def current_passwords(cluster: Cluster, namespace: str, asked: list[passwords.Asked]) -> passwords.Found:
    """What stands in the Secrets, as far as the release's own service account may read them."""
    found: passwords.Found = {}
    for each in asked:
        try:
            secret = await cluster.get(SECRETS, each.secret, namespace, impersonate=acting_as(namespace))
        except ApiError:
            continue
        password = passwords.read(secret or {}, each.key)
        if password:
            found[each.path] = password
    return found


async def give_up(helm: Helm, cluster: Cluster, instance: Instance, release: Release) -> Failure:
    """An upgrade whose workloads never became ready: back to the revision that was."""
    troubles = await pod_troubles(cluster, release.namespace)
    why = Failure("NeverReady", f"not ready within {release.timeout} of the upgrade", troubles=troubles)
    return await back_to(helm, release, instance.status.ready_revision or 1, why)


async def back_to(helm: Helm, release: Release, revision: int, why: Failure) -> Failure:
    try:
        await helm.roll_back(release, revision)
    except HelmFailed as worse:
        return replace(why, reason="RollbackFailed", message=f"{why.message}; rollback failed: {worse.message}")
    restored = (await helm.history(release))[-1]
    return replace(why, rolled_back_to=revision, restored=restored)


async def pod_troubles(cluster: Cluster, namespace: str) -> tuple[str, ...]:
    pods = (await cluster.list(PODS, namespace))["items"]
    found = [(pod["metadata"]["name"], pod_trouble(pod)) for pod in pods]
    return tuple(f"pod {name}: {trouble.message}" for name, trouble in found if trouble)[:3]


main = function(install_release, Cluster, Helm, ChartStore, Preflight, Offerings, at_once=AT_ONCE)
