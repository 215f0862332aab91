"""What to do about a release, and what to say of it afterwards. Pure: from Helm's history and the instance's status."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared import ownership, rights
from shared.helm import Applied, Revision
from shared.instance import Instance
from shared.offering import Offering
from shared.orders import fingerprint
from shared.releases import Release

FIRST_RETRY = timedelta(seconds=15)
LAST_RETRY = timedelta(hours=1)

Step = Literal["apply", "nothing", "sweep"]


@dataclass(frozen=True)
class Failure:
    """What went wrong, and what was done about it."""

    reason: str
    message: str
    troubles: tuple[str, ...] = ()
    rolled_back_to: int | None = None
    restored: Revision | None = None


def next_step(history: list[Revision], inputs: str) -> Step:
    if not history:
        return "apply"
    newest = history[-1]
    if newest.pending:
        return "sweep"
    return "nothing" if newest.status == "deployed" and newest.inputs == inputs else "apply"


def last_good(history: list[Revision]) -> Revision | None:
    """The revision a failed upgrade goes back to."""
    return next((each for each in reversed(history) if each.status == "deployed"), None)


def tried_with(release: Release, offering: Offering) -> str:
    """What a try depends on: with other rights or other policies, the same inputs may do."""
    spec = offering.spec.model_dump(mode="json", include={"policies": True, "plans": {"__all__": {"name", "quota"}}})
    return f"{release.inputs}+{fingerprint(spec)}"


def too_soon(instance: Instance, tried: str, now: datetime) -> bool:
    """Whether this very thing failed a short while ago; anything changed is tried at once."""
    known = instance.status.release
    return bool(known.failed_inputs == tried and known.retry_at and now < datetime.fromisoformat(known.retry_at))


def stalled(instance: Instance, now: datetime, patience: timedelta) -> bool:
    """Whether an upgrade has had its time and its workloads never became ready, though those before it were."""
    release, ready = instance.status.release, instance.condition("Ready")
    if not (release.deployed_at and release.revision and instance.holds("Deployed")):
        return False
    upgraded = instance.status.ready_revision is not None and instance.status.ready_revision != release.revision
    waiting = ready is None or not ready.true
    return upgraded and waiting and now - datetime.fromisoformat(release.deployed_at) > patience


def deployed_status(release: Release, offering: Offering, done: Applied, now: datetime) -> dict[str, Any]:
    return {
        "namespace": release.namespace,
        "name": release.name,
        "revision": done.revision,
        "chart": offering.status.chart.name,
        "version": offering.status.chart.version,
        "digest": release.chart_digest,
        "inputs": release.inputs,
        "offeringGeneration": offering.metadata.generation,
        "resources": list(done.resources),
        "deployedAt": written(now),
    } | ({"secretVersions": dict(release.secret_versions)} if release.secret_versions else {})


def failed_status(
    instance: Instance, release: Release, now: datetime, failure: Failure, tried: str | None = None
) -> dict[str, Any]:
    """What is deployed stays said; the next try comes later each time."""
    known, tried = instance.status.release, tried or release.inputs
    failures = (known.failures or 0) + 1 if known.failed_inputs == tried else 1
    wait = min(FIRST_RETRY * 2 ** min(failures - 1, 20), LAST_RETRY)
    kept = known.model_dump(by_alias=True, exclude_none=True, exclude={"failures", "failed_inputs", "retry_at"})
    if failure.restored:
        kept |= {"revision": failure.restored.number, "inputs": failure.restored.inputs}
    again = {"failures": failures, "failedInputs": tried, "retryAt": written(now + wait)}
    return {**kept, "namespace": release.namespace, "name": release.name, **again}


def forbidden(message: str, offering: str) -> str:
    """What Helm's account was refused, and who can do what about it."""
    cluster = "at the cluster scope" in message or "clusterroles." in message or "clusterrolebindings." in message
    label = f"{rights.OFFERING if cluster else rights.RELEASE}: {ownership.shortened(offering)}"
    administrator = f"let the cluster's administrator put them into a ClusterRole with label {label}"
    if "attempting to grant RBAC permissions not currently held" in message:
        why = "the chart hands out rights that its Helm account doesn't have"
        seen = "" if cluster else ": they were not in it by default when it was registered"
        return f"{message}; {why}{seen}; {administrator}"
    if cluster:
        fix = "if the chart may make such objects, name their kind in spec.policies.clusterScoped of the offering"
        return f"{message}; {fix}"
    if 'is forbidden: User "system:serviceaccount:' in message:
        why = "Helm may do what the chart was seen to need when it was registered, and this was not in it"
        fix = "let spec.values or a plan of the offering switch it on, so that it is reviewed"
        return f"{message}; {why}; {fix}, or {administrator.replace('them', 'the right', 1)}"
    return message


def failure_message(failure: Failure, status: dict[str, Any]) -> str:
    back = f"rolled back to revision {failure.rolled_back_to}" if failure.rolled_back_to else ""
    parts = [failure.message, *failure.troubles, back, f"tried again at {status['retryAt']}"]
    return "; ".join(part for part in parts if part)


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
