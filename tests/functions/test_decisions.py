"""What the functions decide, apart from what they do about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.base import OfferingKey
from events.instances import InstanceAdmitted, InstanceDegraded, InstanceReady, InstanceRequested, InstanceWithdrawn
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.releases import ReleaseStalled
from events.workloads import WorkloadsChanged
from functions.remove_release import waits_for
from functions.report_health import news, ready
from functions.resync import about_instance, about_offering, due, on_its_way
from functions.retire_offering import instances_remain
from shared import statuses
from shared.attempts import (
    Failure,
    failed_status,
    forbidden,
    last_good,
    next_step,
    stalled,
    too_soon,
    tried_with,
    written,
)
from shared.conditions import Condition
from shared.health import CURRENT, Health
from shared.helm import Revision
from shared.instance import count, settled
from shared.releases import release_for
from tests.builders import KEY, condition, deployed, instance, offering

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
FAILURE = Failure("HelmFailed", "no")


def revision(number: int, status: str, inputs: str = "same") -> Revision:
    return Revision(number, status, inputs, "holder-1", f"sh.helm.release.v1.x.v{number}", "1")


@pytest.mark.parametrize(
    ("history", "step"),
    [
        ([], "apply"),
        ([revision(1, "deployed")], "nothing"),
        ([revision(1, "deployed", "other")], "apply"),
        ([revision(1, "failed")], "apply"),
        ([revision(1, "pending-install")], "sweep"),
        ([revision(1, "deployed"), revision(2, "pending-upgrade")], "sweep"),
        ([revision(1, "deployed"), revision(2, "pending-rollback")], "sweep"),
        ([revision(1, "superseded"), revision(2, "deployed")], "nothing"),
        ([revision(1, "superseded", "a"), revision(2, "failed"), revision(3, "deployed", "a")], "apply"),
    ],
)
def test_the_history_tells_what_to_do(history: list[Revision], step: str) -> None:
    assert next_step(history, "same") == step


def test_a_failed_upgrade_goes_back_to_the_last_revision_that_was_deployed() -> None:
    history = [revision(1, "superseded"), revision(2, "deployed"), revision(3, "failed")]
    assert last_good(history) == history[1]
    assert last_good([revision(1, "failed")]) is None


def test_the_same_inputs_are_tried_again_later_each_time_and_others_at_once() -> None:
    found = instance()
    release = release_for(offering(), found)
    waits = []
    for _ in range(12):
        status = failed_status(found, release, NOW, FAILURE)
        waits.append((datetime.fromisoformat(status["retryAt"]) - NOW).total_seconds())
        found = instance(status={"release": status})
    assert waits == [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert too_soon(found, release.inputs, NOW)
    assert not too_soon(found, "others", NOW)
    assert not too_soon(found, release.inputs, NOW + timedelta(hours=1))


def test_the_same_inputs_are_tried_at_once_with_other_rights_or_policies() -> None:
    found, plain = instance(), offering()
    release = release_for(plain, found)
    status = failed_status(found, release, NOW, FAILURE, tried_with(release, plain))
    failed = instance(status={"release": status})
    assert too_soon(failed, tried_with(release, plain), NOW)
    for policies in ({"clusterScoped": ["ClusterRole"]}, {"podSecurity": "privileged"}, {"quota": {"pods": 9}}):
        more = offering(policies=policies)
        assert not too_soon(failed, tried_with(release_for(more, found), more), NOW)


def test_a_refused_upgrade_is_left_alone_by_the_resync_until_its_next_try() -> None:
    status = deployed(generation=2)
    status["conditions"][0] |= {"status": "False", "reason": "PodSecurityViolated"}
    status["release"] |= {"retryAt": written(NOW + timedelta(minutes=1)), "failedInputs": "x"}
    found = instance(generation=2, status=status)
    assert about_instance(KEY, found, offering(), NOW) is None
    later = NOW + timedelta(minutes=2)
    assert about_instance(KEY, found, offering(), later) == InstanceRequested(instance=KEY, generation=2)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ('User "x" cannot create resource "clusterroles" at the cluster scope', "spec.policies.clusterScoped"),
        (
            'clusterroles.rbac.authorization.k8s.io "a" is forbidden: user "x" (groups=["y"]) '
            "is attempting to grant RBAC permissions not currently held",
            "aggregate-to-offering: database",
        ),
        (
            'roles.rbac.authorization.k8s.io "a" is forbidden: user "x" (groups=["y"]) '
            "is attempting to grant RBAC permissions not currently held",
            "aggregate-to-release: database",
        ),
        (
            'widgets.acme.io is forbidden: User "system:serviceaccount:chandlery-releases:y" cannot create '
            'resource "widgets" in API group "acme.io" in the namespace "y"',
            "aggregate-to-release: database",
        ),
        ('pods "x" is forbidden: exceeded quota: bounds', ""),
    ],
)
def test_what_helm_is_forbidden_names_who_can_change_it(said: str, fix: str) -> None:
    told = forbidden(said, "database")
    assert told.startswith(said)
    assert fix in told
    assert fix or told == said


def test_what_is_deployed_stays_said_when_an_upgrade_fails() -> None:
    found = instance(status=deployed())
    status = failed_status(found, release_for(offering(), found), NOW, FAILURE)
    assert {key: status[key] for key in ("name", "revision", "digest")} == {
        "name": "orders",
        "revision": 1,
        "digest": "sha256:" + "a" * 64,
    }
    restored = replace(FAILURE, rolled_back_to=1, restored=revision(3, "deployed", "old"))
    status = failed_status(found, release_for(offering(), found), NOW, restored)
    assert (status["revision"], status["inputs"]) == (3, "old")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (instance(status=deployed()), True),
        (instance(status=deployed(), generation=2), False),
        (instance(status=deployed(offering_generation=0)), False),
        (instance(status=deployed(), finalizers=[]), False),
        (instance(), False),
    ],
)
def test_an_instance_is_settled_when_nothing_is_left_to_do(found: Any, expected: bool) -> None:
    assert settled(found, offering()) is expected


def test_ready_says_the_first_step_that_failed_else_what_the_workloads_say() -> None:
    refused = instance(status={"conditions": [condition("Accepted", "False", "UnknownPlan", message="m")]})
    assert (ready(refused, CURRENT).status, ready(refused, CURRENT).reason) == ("False", "UnknownPlan")
    fine = instance(status=deployed())
    assert ready(fine, CURRENT).true
    assert ready(fine, Health("Failed", "ImagePullBackOff", "pod x")).reason == "ImagePullBackOff"


def test_ready_speaks_of_the_generation_that_is_deployed() -> None:
    behind = instance(status=deployed(generation=1), generation=2)
    assert ready(behind, CURRENT).observed_generation == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, "True", InstanceReady),
        ("False", "True", InstanceReady),
        ("True", "True", None),
        ("True", "False", InstanceDegraded),
        ("False", "False", None),
        (None, "False", None),
    ],
)
def test_only_a_change_is_news(before: Any, after: Any, said: Any) -> None:
    def of(status: Any) -> Condition | None:
        return Condition.model_validate(condition("Ready", status)) if status else None

    changed = of(after)
    assert changed is not None
    told = news(KEY, of(before), changed)
    assert told is None if said is None else isinstance(told, said)


def tries(period: float, until: float) -> list[float]:
    """The ages at which something that stays broken is tried, with ticks at every period."""
    ticks = [period * n for n in range(1, int(until / period) + 1)]
    return [age for age in ticks if due(age, period)]


def test_what_stays_broken_is_tried_ever_more_seldom_and_never_given_up() -> None:
    assert tries(30, 1000) == [30, 60, 120, 240, 300, 600, 900]
    assert tries(60, 1000) == [60, 120, 240, 300, 600, 900]


OLDER = {"crd": "databases.acme.example.com", "statusEdition": "older"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (offering(), None),
        (offering(generation=2, status={"conditions": [condition("Ready", generation=1)]}), OfferingApplied),
        (offering(status={}), OfferingApplied),
        (offering(status={"conditions": [condition("Ready")], "api": OLDER}), OfferingApplied),
        (
            offering(status={"conditions": [condition("Ready", "False", "BreakingChange")], "api": OLDER}),
            OfferingApplied,
        ),
    ],
)
def test_an_offering_that_is_not_published_is_sent_again(found: Any, said: Any) -> None:
    told = about_offering(found, NOW, 60)
    assert told is None if said is None else isinstance(told, said)


PRICE = {"per": "cpu-core-hour", "amount": "0.04", "currency": "EUR"}


@pytest.mark.parametrize(
    ("priced", "again"),
    [
        ([], True),
        ([condition("Priced", "False", "PriceChanged")], False),
        ([condition("Priced", generation=0)], True),
        ([condition("Priced", "False", "NoLedger")], True),
    ],
    ids=["never", "refused", "of an older spec", "without a ledger"],
)
def test_an_offering_whose_prices_were_not_spoken_of_is_sent_again(priced: list[Any], again: bool) -> None:
    ready = condition("Ready", lastTransitionTime=(NOW - timedelta(seconds=60)).isoformat())
    api = {"crd": "databases.acme.example.com", "statusEdition": statuses.EDITION}
    found = offering(status={"conditions": [ready, *priced], "api": api}, metering={"prices": [PRICE]})
    assert isinstance(about_offering(found, NOW, 60), OfferingApplied) == again


def test_a_broken_offering_is_spaced_out() -> None:
    def after(seconds: float) -> Any:
        moment = (NOW - timedelta(seconds=seconds)).isoformat()
        broken = condition("Ready", "False", "ChartNotFound", lastTransitionTime=moment)
        return about_offering(offering(status={"conditions": [broken]}), NOW, 30)

    assert isinstance(after(30), OfferingApplied)
    assert after(90) is None


def test_a_withdrawn_offering_is_sent_until_it_is_let_go() -> None:
    base = offering()
    metadata = base.metadata.model_copy(update={"deletion_timestamp": "now", "finalizers": ["chandlery.dev/api"]})
    held = base.model_copy(update={"metadata": metadata})
    assert about_offering(held, NOW, 60) == OfferingWithdrawn(
        offering=OfferingKey(name="database", uid="o-1"), generation=1
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (instance(status=deployed()), None),
        (instance(), InstanceRequested),
        (instance(status=deployed(), generation=2), InstanceRequested),
        (instance(deletionTimestamp="now"), InstanceWithdrawn),
        (instance(deletionTimestamp="now", finalizers=["somebody/else"]), None),
        (
            instance(status={"release": {"retryAt": (NOW + timedelta(minutes=1)).isoformat()}}),
            None,
        ),
        (
            instance(status={"release": {"retryAt": (NOW - timedelta(minutes=1)).isoformat()}}),
            InstanceRequested,
        ),
        (
            instance(status=deployed() | {"conditions": [condition(k) for k in ("Accepted", "Isolated", "Deployed")]}),
            WorkloadsChanged,
        ),
    ],
)
def test_an_instance_is_sent_again_when_something_is_missing(found: Any, said: Any) -> None:
    told = about_instance(KEY, found, offering(), NOW)
    assert told is None if said is None else isinstance(told, said)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"ready_revision": 1, "ready": "False", "age": 301}, True),
        ({"ready_revision": 1, "ready": "False", "age": 299}, False),
        ({"ready_revision": 2, "ready": "False", "age": 301}, False),
        ({"ready_revision": None, "ready": "False", "age": 301}, False),
        ({"ready_revision": 1, "ready": "True", "age": 301}, False),
    ],
    ids=["had its time", "has time left", "was ready and is not now", "first install", "is ready"],
)
def test_an_upgrade_stalls_when_it_never_becomes_ready_in_its_time(found: dict[str, Any], expected: bool) -> None:
    status = deployed()
    status["release"] |= {"revision": 2, "deployedAt": (NOW - timedelta(seconds=found["age"])).isoformat()}
    status["conditions"][-1]["status"] = found["ready"]
    status["readyRevision"] = found["ready_revision"]
    assert stalled(instance(status=status), NOW, timedelta(minutes=5)) is expected
    told = about_instance(KEY, instance(status=status), offering(), NOW)
    assert isinstance(told, ReleaseStalled) is expected


def test_a_release_namespace_that_was_deleted_by_hand_is_made_again() -> None:
    told = about_instance(KEY, instance(status=deployed()), offering(), NOW, housed=False)
    assert told == InstanceAdmitted(instance=KEY, generation=1)


def test_what_changed_since_the_last_tick_is_left_to_its_own_events() -> None:
    def wrote(seconds: float, **more: str) -> dict[str, str]:
        return {"time": (NOW - timedelta(seconds=seconds)).isoformat(), **more}

    fresh = instance(managedFields=[wrote(500), wrote(5)]).metadata
    assert on_its_way(fresh, NOW, 30)
    old = instance(managedFields=[wrote(31), wrote(1, subresource="status")]).metadata
    assert not on_its_way(old, NOW, 30)
    assert not on_its_way(instance().metadata, NOW, 30)


def test_instances_are_counted_by_what_they_say() -> None:
    def with_ready(status: str, reason: str) -> Any:
        return instance(status={"conditions": [condition("Ready", status, reason)]})

    counts = count(
        [with_ready("True", "Ready"), with_ready("False", "Progressing"), with_ready("False", "HookFailed"), instance()]
    )
    assert (counts.total, counts.ready, counts.failed) == (4, 1, 1)


def test_what_is_waited_for_is_named() -> None:
    namespace = {
        "metadata": {"name": "ns"},
        "status": {
            "conditions": [
                {"type": "NamespaceContentRemaining", "status": "True", "message": "pods. has 1 resource instances"},
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "fine"},
            ]
        },
    }
    assert waits_for(namespace) == "waits for namespace ns to go: pods. has 1 resource instances"
    assert instances_remain(["a/b"]) == "waits for 1 instance to be deleted: a/b"
    assert instances_remain([f"a/{n}" for n in range(7)]).endswith("a/4 and 2 more")
