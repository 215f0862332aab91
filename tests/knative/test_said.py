"""What a change is worth saying, decided from what was seen before and what is seen now."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.access import ConsumerApplied, ConsumerKey, ConsumerWithdrawn, ProviderApplied, ProviderKey
from events.base import OfferingKey
from events.instances import InstanceRequested, InstancesChanged, InstanceWithdrawn
from events.offerings import OfferingApplied, OfferingWithdrawn
from events.workloads import WorkloadsChanged
from knative import said
from knative.said import Said
from knative.seen import Api, Edition, Release, Seen, Served, marks_of
from shared import ownership
from shared.resources import CONSUMERS, PROVIDERS, Resource
from tests.builders import KEY

OFFERING = Seen(namespace="", name="database", uid="o-1", version=10, generation=1)
INSTANCE = Seen(namespace=KEY.namespace, name=KEY.name, uid=KEY.uid, version=10, generation=1)
CRD = Served(namespace="", name="databases.acme.example.com", uid="c-1", version=10, offering="database")
RELEASE = Release(name="database-team-a-orders", uid="n-1", version=10, deleting=False, instance=KEY)
APPLIED = OfferingApplied(offering=OfferingKey(name="database", uid="o-1"), generation=1)
REQUESTED = InstanceRequested(instance=KEY, generation=1)
WITHDRAWN = InstanceWithdrawn(instance=KEY)

seen = st.builds(
    Seen,
    namespace=st.just("team-a"),
    name=st.just("orders"),
    uid=st.just("i-1"),
    version=st.integers(1, 5),
    generation=st.integers(1, 3),
    deleting=st.booleans(),
    marks=st.sampled_from(["", "m"]),
)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, OFFERING, APPLIED, id="new"),
        pytest.param(OFFERING, replace(OFFERING, version=11), None, id="only its status changed"),
        pytest.param(OFFERING, replace(OFFERING, marks="m"), APPLIED, id="our annotation changed"),
        pytest.param(
            OFFERING,
            replace(OFFERING, deleting=True),
            OfferingWithdrawn(offering=APPLIED.offering, generation=1),
            id="marked for deletion",
        ),
        pytest.param(OFFERING, None, None, id="gone"),
    ],
)
def test_an_offering_is_told_of_when_its_wish_changed(
    before: Seen | None, after: Seen | None, expected: object
) -> None:
    news = said.about_offering(before, after)
    assert (news and news.event) == expected


def test_an_api_that_went_while_its_offering_is_there_is_worth_another_look_at_the_offering() -> None:
    assert said.about_api(None, CRD, OFFERING) is None
    assert said.about_api(CRD, replace(CRD, version=11), OFFERING) is None
    assert said.about_api(CRD, None, None) is None
    again = said.about_api(CRD, None, OFFERING)
    assert again == Said(APPLIED, ("o-1", 1, "c-1"), again=True)
    assert again.id != said.offering_again(OFFERING).id
    withdrawn = said.about_api(CRD, None, replace(OFFERING, deleting=True))
    assert withdrawn and withdrawn.event == OfferingWithdrawn(offering=APPLIED.offering, generation=1)


@pytest.mark.parametrize(
    ("before", "after", "has_namespace", "expected"),
    [
        pytest.param(None, INSTANCE, False, REQUESTED, id="new"),
        pytest.param(INSTANCE, replace(INSTANCE, version=11), False, None, id="only its status changed"),
        pytest.param(
            INSTANCE, replace(INSTANCE, generation=2), True, REQUESTED.model_copy(update={"generation": 2}), id="spec"
        ),
        pytest.param(INSTANCE, replace(INSTANCE, deleting=True), True, WITHDRAWN, id="marked for deletion"),
        pytest.param(None, replace(INSTANCE, deleting=True), True, WITHDRAWN, id="found marked for deletion"),
        pytest.param(INSTANCE, None, False, WITHDRAWN, id="gone without a mark"),
        pytest.param(replace(INSTANCE, deleting=True), None, True, WITHDRAWN, id="gone before its namespace"),
        pytest.param(replace(INSTANCE, deleting=True), None, False, None, id="let go"),
    ],
)
def test_an_instance_is_told_of_when_its_wish_changed(
    before: Seen | None, after: Seen | None, has_namespace: bool, expected: object
) -> None:
    news = said.about_instance(KEY, before, after, has_namespace=has_namespace)
    assert (news and news.event) == expected


@given(before=st.none() | seen, after=seen)
def test_the_same_wish_has_the_same_id_and_another_wish_another(before: Seen | None, after: Seen) -> None:
    """However often, in whatever order and by whichever source it is said."""
    news = said.about_instance(KEY, before, after, has_namespace=False)
    if news is None:
        assert before is not None
        assert before.wish == after.wish
        return
    fresh = said.about_instance(KEY, None, after, has_namespace=False)
    assert fresh is not None
    assert news.id == fresh.id
    if before:
        earlier = said.about_instance(KEY, None, before, has_namespace=False)
        assert earlier is not None
        assert (news.id == earlier.id) == (before.wish == after.wish)


@given(annotations=st.dictionaries(st.sampled_from(["a", "b/c", "chandlery.dev/x", "chandlery.dev/y"]), st.text()))
def test_only_our_own_annotations_are_marks(annotations: dict[str, str]) -> None:
    ours = {name: value for name, value in annotations.items() if name.startswith("chandlery.dev/")}
    assert marks_of(annotations) == marks_of(ours)
    assert bool(marks_of(annotations)) == bool(ours)


def test_a_withdrawal_takes_the_place_of_a_request_and_of_nothing_else() -> None:
    requested, withdrawn = Said(REQUESTED, ("a",)), Said(WITHDRAWN, ("b",))
    workloads, counts = Said(WorkloadsChanged(instance=KEY), ("c",)), Said(InstancesChanged(offering="x"), ("d",))
    namesake = Said(InstanceRequested(instance=KEY.model_copy(update={"uid": "2"}), generation=1), ("e",))
    assert requested.key == withdrawn.key
    assert len({each.key for each in (requested, workloads, counts, namesake)}) == 4


EDITION = Edition(name="database", uid="o-1", version=10, published="1/sha256:aa/then")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, EDITION, None, id="the first listing"),
        pytest.param(EDITION, replace(EDITION, version=11), None, id="the same edition"),
        pytest.param(EDITION, replace(EDITION, published=None), None, id="not published as it stands"),
        pytest.param(replace(EDITION, published=None), EDITION, "1/sha256:aa/then", id="published"),
        pytest.param(EDITION, replace(EDITION, published="1/sha256:bb/then"), "1/sha256:bb/then", id="another chart"),
        pytest.param(EDITION, None, None, id="gone"),
    ],
)
def test_instances_are_told_of_a_new_edition_of_their_offering(
    before: Edition | None, after: Edition | None, expected: str | None
) -> None:
    assert said.republished(before, after) == expected


def test_an_edition_is_what_is_published_of_the_offering_as_it_stands() -> None:
    def offering(observed: int, status: str) -> dict[str, object]:
        ready = {"type": "Ready", "status": status, "observedGeneration": observed, "lastTransitionTime": "then"}
        return {
            "metadata": {"name": "database", "uid": "o-1", "resourceVersion": "10", "generation": 2},
            "status": {"conditions": [ready], "chart": {"digest": "sha256:aa"}},
        }

    assert Edition.of(offering(2, "True")).published == "2/sha256:aa/then"
    assert Edition.of(offering(1, "True")).published is None
    assert Edition.of(offering(2, "False")).published is None


def test_a_new_edition_makes_a_request_new_but_not_a_withdrawal() -> None:
    assert said.instance_again(KEY, INSTANCE, "2/x").id != said.instance_again(KEY, INSTANCE, "1/x").id
    leaving = replace(INSTANCE, deleting=True)
    assert said.instance_again(KEY, leaving, "2/x") == said.instance_again(KEY, leaving)


def test_a_namespace_on_its_way_out_is_followed() -> None:
    leaving = replace(RELEASE, deleting=True)
    assert not said.leaving(None, RELEASE)
    assert not said.leaving(RELEASE, leaving)
    assert said.leaving(None, leaving)
    assert said.leaving(leaving, replace(leaving, version=11))
    assert not said.leaving(leaving, None)
    assert said.still_leaving(leaving, 11).id != said.still_leaving(leaving, 12).id


def test_a_namespace_that_is_gone_ends_a_removal_or_asks_for_a_new_one() -> None:
    assert said.namespace_gone(RELEASE, None).event == WITHDRAWN
    assert said.namespace_gone(RELEASE, replace(INSTANCE, deleting=True)).event == WITHDRAWN
    again = said.namespace_gone(RELEASE, INSTANCE)
    assert again.event == REQUESTED
    assert again.id != said.instance_again(KEY, INSTANCE).id


def test_a_namespace_without_a_living_instance_is_an_orphan() -> None:
    assert list(said.orphans([RELEASE], {KEY.uid})) == []
    assert [orphan.event for orphan in said.orphans([RELEASE], {"another"})] == [WITHDRAWN]


def test_workloads_are_told_of_only_where_an_instance_is_to_stay() -> None:
    assert said.workloads_changed(None, 11) is None
    assert said.workloads_changed(replace(RELEASE, deleting=True), 11) is None
    assert said.workloads_changed(RELEASE, 11) == Said(WorkloadsChanged(instance=KEY), ("n-1", 11))


def test_a_release_namespace_is_known_by_its_labels_and_annotations() -> None:
    metadata = {
        "name": RELEASE.name,
        "uid": RELEASE.uid,
        "resourceVersion": "10",
        "labels": ownership.labels(KEY),
        "annotations": ownership.annotations(KEY),
    }
    assert Release.of({"metadata": metadata}) == RELEASE
    assert Release.of({"metadata": metadata | {"annotations": {}}}) is None


def test_an_api_is_served_once_it_is_established() -> None:
    def crd(*conditions: dict[str, str]) -> dict[str, object]:
        return {
            "metadata": {
                "name": "databases.acme.example.com",
                "uid": "c-1",
                "resourceVersion": "10",
                "labels": {"chandlery.dev/offering": "database"},
            },
            "spec": {
                "group": "acme.example.com",
                "names": {"kind": "Database", "plural": "databases"},
                "versions": [{"name": "v1alpha1", "storage": True}],
            },
            "status": {"conditions": list(conditions)},
        }

    assert Api.of(crd()).service is None
    api = Api.of(crd({"type": "Established", "status": "True"}))
    assert api.service == ("c-1", "database", Resource("acme.example.com", "v1alpha1", "databases", "Database"))
    assert api.name == "databases.acme.example.com"
    assert api.key(INSTANCE) == KEY


TEAM = Seen(namespace="", name="team-a", uid="u-1", version=10, generation=1)
TEAM_KEY = ConsumerKey(name="team-a", uid="u-1")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, TEAM, ConsumerApplied(consumer=TEAM_KEY, generation=1), id="new"),
        pytest.param(TEAM, replace(TEAM, version=11), None, id="only its status changed"),
        pytest.param(
            TEAM, replace(TEAM, deleting=True), ConsumerWithdrawn(consumer=TEAM_KEY, generation=1), id="to be deleted"
        ),
        pytest.param(replace(TEAM, deleting=True), None, None, id="gone"),
        pytest.param(TEAM, None, ConsumerWithdrawn(consumer=TEAM_KEY, generation=1), id="gone without a word"),
    ],
)
def test_a_consumer_is_told_of_when_its_wish_changed(before: Seen | None, after: Seen | None, expected: object) -> None:
    news = said.about_grantee(CONSUMERS, before, after)
    assert (news and news.event) == expected


def test_a_provider_is_told_of_likewise() -> None:
    news = said.about_grantee(PROVIDERS, None, replace(TEAM, name="acme"))
    assert news
    assert news.event == ProviderApplied(provider=ProviderKey(name="acme", uid="u-1"), generation=1)


def test_a_withdrawal_takes_the_place_of_what_was_said_of_the_same_consumer() -> None:
    first = said.about_grantee(CONSUMERS, None, TEAM)
    last = said.about_grantee(CONSUMERS, TEAM, replace(TEAM, deleting=True))
    assert first
    assert last
    assert first.key == last.key
