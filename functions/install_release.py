"""Install or upgrade the Helm release of an instance, once its namespace is safe to run in.

Helm's own history tells where things stand: each revision is labelled with a hash of all it was made from (same inputs,
nothing to do) and with the process that made it (a pending revision of a dead process is swept up, not waited for).
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared.store import ChartStore

from events.policies import PoliciesApplied
from events.releases import ReleaseDeployed, ReleaseFailed
from shared.cluster import Cluster
from shared.conditions import Condition, condition
from shared.errors import Refused, RetryLater
from shared.function import function
from shared.health import pod_trouble
from shared.helm import Applied, Helm, HelmFailed, Revision
from shared.instance import Instance
from shared.offering import Offering
from shared.releases import Release, release_for
from shared.reports import instance_of, offering_of, report_instance
from shared.resources import PODS

FIRST_RETRY = timedelta(seconds=15)
LAST_RETRY = timedelta(hours=1)
SLOW_SECONDS = 3

Step = Literal["apply", "nothing", "sweep"]


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: what is deployed now, or what went wrong."""

    applied: Applied | None = None
    failed: HelmFailed | None = None
    rolled_back_to: int | None = None


def next_step(history: list[Revision], inputs: str) -> Step:
    """What to do about a release, from its history alone."""
    if not history:
        return "apply"
    newest = history[-1]
    if newest.pending:
        return "sweep"
    return "nothing" if newest.status == "deployed" and newest.inputs == inputs else "apply"


def last_good(history: list[Revision]) -> Revision | None:
    """The revision a failed upgrade goes back to."""
    return next((each for each in reversed(history) if each.status == "deployed"), None)


def too_soon(instance: Instance, inputs: str, now: datetime) -> bool:
    """Whether these very inputs failed a short while ago; anything changed is tried at once."""
    known = instance.status.release
    return bool(known.failed_inputs == inputs and known.retry_at and now < datetime.fromisoformat(known.retry_at))


def deployed_status(release: Release, offering: Offering, done: Applied) -> dict[str, Any]:
    return {
        "name": release.name,
        "revision": done.revision,
        "chart": offering.status.chart.name,
        "version": offering.status.chart.version,
        "digest": release.chart_digest,
        "inputs": release.inputs,
        "offeringGeneration": offering.metadata.generation,
        "resources": list(done.resources),
    }


def failed_status(instance: Instance, release: Release, now: datetime) -> dict[str, Any]:
    """What was deployed before stays said; the next try comes later each time."""
    known = instance.status.release
    failures = (known.failures or 0) + 1 if known.failed_inputs == release.inputs else 1
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 20), LAST_RETRY)
    kept = known.model_dump(
        by_alias=True, exclude_none=True, exclude={"namespace", "failures", "failed_inputs", "retry_at"}
    )
    retry_at = (now + wait).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**kept, "name": release.name, "failures": failures, "failedInputs": release.inputs, "retryAt": retry_at}


def failure_message(outcome: Outcome, status: dict[str, Any], troubles: list[str]) -> str:
    failed = outcome.failed
    back = f"rolled back to revision {outcome.rolled_back_to}" if outcome.rolled_back_to else ""
    parts = [failed.message if failed else "", *troubles, back, f"tried again at {status['retryAt']}"]
    return "; ".join(part for part in parts if part)


async def install_release(
    event: PoliciesApplied, cluster: Cluster, helm: Helm, store: ChartStore
) -> ReleaseDeployed | ReleaseFailed | None:
    key = event.instance
    instance = await instance_of(cluster, key)
    offering = await offering_of(cluster, key.offering)
    if instance is None or instance.withdrawn or offering is None or not offering.published:
        return None
    if not (instance.holds("Accepted") and instance.holds("Isolated")):
        return None  # the spec changed meanwhile, and its own event is on the way
    try:
        release = release_for(offering, instance)
    except Refused:
        return None  # admit_instance says so
    now = datetime.now(UTC)
    if too_soon(instance, release.inputs, now):
        return None
    chart = await store.path(release.chart_digest)
    if chart is None:
        raise RetryLater(f"chart {release.chart_digest} is not in the store", after=5)

    async def installing() -> None:
        await asyncio.sleep(SLOW_SECONDS)
        said = condition("Deployed", None, "Installing", "Helm is at work, or waits for a hook", instance.generation)
        await tell(said, instance.status.release.model_dump(by_alias=True, exclude_none=True, exclude={"namespace"}))

    async def tell(said: Condition, status: dict[str, Any], **more: Any) -> None:
        await report_instance(cluster, key, instance, "install_release", [said], release=status, **more)

    async with helm.turn(release):
        patience = asyncio.create_task(installing())
        try:
            outcome = await attempt(helm, release, chart)
        finally:
            patience.cancel()
            await asyncio.gather(patience, return_exceptions=True)
    if outcome.applied:
        done = outcome.applied
        chart_status = offering.status.chart
        message = f"{chart_status.name} {chart_status.version}, revision {done.revision}"
        said = condition("Deployed", True, "Deployed", message, instance.generation)
        await tell(said, deployed_status(release, offering, done), notes=done.notes)
        return ReleaseDeployed(instance=key, generation=instance.generation, revision=done.revision)
    failed = outcome.failed
    assert failed is not None  # noqa: S101 - an outcome is one or the other
    status = failed_status(instance, release, now)
    troubles = await pod_troubles(cluster, release.namespace) if "Hook" in failed.reason else []
    said = condition("Deployed", False, failed.reason, failure_message(outcome, status, troubles), instance.generation)
    await tell(said, status, **({"notes": instance.status.notes} if instance.status.notes else {}))
    return ReleaseFailed(instance=key, generation=instance.generation, reason=failed.reason)


async def attempt(helm: Helm, release: Release, chart: Any) -> Outcome:
    history = await helm.history(release)
    while next_step(history, release.inputs) == "sweep":
        left = history.pop()
        if await helm.unfinished(left):
            raise RetryLater(f"{left.holder} is at work on {release.namespace}/{release.name}", after=2)
        await helm.forget(release, left)
    if next_step(history, release.inputs) == "nothing":
        return Outcome(applied=await helm.read(release))
    try:
        return Outcome(applied=await helm.apply(chart, release))
    except HelmFailed as failed:
        good = last_good(history)
        after = await helm.history(release)
        if good is None or not after or after[-1].status == "deployed":
            return Outcome(failed=failed)  # nothing to go back to, or nothing was touched
        try:
            await helm.roll_back(release, good.number)
        except HelmFailed as worse:
            return Outcome(failed=HelmFailed("RollbackFailed", f"{failed.message}; rollback failed: {worse.message}"))
        return Outcome(failed=failed, rolled_back_to=good.number)


async def pod_troubles(cluster: Cluster, namespace: str) -> list[str]:
    pods = (await cluster.list(PODS, namespace))["items"]
    found = [(pod["metadata"]["name"], pod_trouble(pod)) for pod in pods]
    return [f"pod {name}: {trouble.message}" for name, trouble in found if trouble][:3]


main = function(install_release, Cluster, Helm, ChartStore)
