"""Which versions a CRD has, and what may become of them."""

import copy
from pathlib import Path
from typing import Any

import pytest

from shared import versions
from shared.errors import Refused
from shared.schema import api_for
from shared.webhook import Webhook
from tests.builders import offering
from tests.shared.archives import chart_with

VALUES: dict[str, Any] = {"size": "8Gi", "replicas": 1, "tag": "x"}
SIZE, REPLICAS = {"path": "size"}, {"path": "replicas", "maximum": 5}
WEBHOOK = {"url": "https://127.0.0.1/convert_instances/x/y", "caBundle": "x"}


def crd(version: str, *parameters: dict[str, Any], existing: Any = None, **spec: Any) -> versions.Crd:
    api = {"group": "acme.example.com", "kind": "Database", "version": version}
    found = offering(api=api, parameters=[*parameters], **spec)
    made = api_for(found, chart_with(VALUES))
    return versions.together(made.crd, existing, made.places, plans=bool(found.spec.plans))


def instance(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "orders", "namespace": "team-a"}
    return {"apiVersion": "acme.example.com/v1", "kind": "Database", "metadata": metadata, "spec": spec}


def test_versions_are_ordered_as_they_come_in_time() -> None:
    every = ["v1", "v10", "v1alpha1", "v1alpha10", "v1alpha2", "v1beta1", "v2", "v2alpha1"]
    in_time = ["v1alpha1", "v1alpha2", "v1alpha10", "v1beta1", "v1", "v2alpha1", "v2", "v10"]
    assert sorted(every, key=versions.order) == in_time
    assert [versions.following(each) for each in ("v1alpha1", "v1beta9", "v1")] == ["v1alpha2", "v1beta10", "v2"]


def test_the_newest_is_stored_and_the_earlier_ones_stay_served() -> None:
    one = crd("v1alpha1", SIZE)
    two = crd("v1beta1", {**SIZE, "name": "disk"}, existing=one)
    three = crd("v1", {**SIZE, "name": "storage"}, existing=two)
    found = [
        (each["name"], each["served"], each["storage"], "deprecated" in each) for each in three["spec"]["versions"]
    ]
    assert found == [("v1", True, True, False), ("v1beta1", True, False, True), ("v1alpha1", True, False, True)]
    places = {name: edition.places for name, edition in versions.editions(three).items()}
    assert places == {
        "v1": ((("storage",), ("size",)),),
        "v1beta1": ((("disk",), ("size",)),),
        "v1alpha1": ((("size",), ("size",)),),
    }


def test_earlier_versions_get_the_status_of_today() -> None:
    one = crd("v1", SIZE)
    today = one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    older = copy.deepcopy(one)
    del older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["notes"]
    two = crd("v2", SIZE, existing=older)
    found = [each["schema"]["openAPIV3Schema"]["properties"]["status"] for each in two["spec"]["versions"]]
    assert found == [today, today]


def test_a_version_that_was_never_stored_goes_with_its_withdrawal() -> None:
    one = crd("v1", SIZE)
    tried = versions.stored_as(crd("v2", REPLICAS, existing=one), "v1")
    again = crd("v1", SIZE, existing=tried)
    assert again == one


def test_the_same_version_again_is_the_same_crd() -> None:
    one = crd("v1", SIZE)
    two = crd("v2", REPLICAS, existing=one)
    assert crd("v2", REPLICAS, existing=two) == two


def test_another_map_is_another_edition() -> None:
    """The names stay, what they stand for does not: who converts has to know."""
    found = [crd("v1", {**SIZE, "path": path, "name": "it"})["metadata"]["annotations"] for path in ("size", "tag")]
    assert found[0][versions.EDITION] != found[1][versions.EDITION]


def test_versions_that_differ_in_nothing_need_no_webhook() -> None:
    one = crd("v1", {**SIZE, "description": "How much"})
    two = crd("v2", {**SIZE, "description": "How much of it"}, existing=one)
    assert versions.converted_by(two, None) == two


@pytest.mark.parametrize(
    "parameter",
    [{**SIZE, "name": "disk"}, {"path": "tag", "name": "size"}, {**SIZE, "type": "integer"}, {**SIZE, "enum": ["1"]}],
    ids=["renamed", "other path", "other type", "narrowed"],
)
def test_versions_that_differ_need_one(parameter: dict[str, Any]) -> None:
    two = crd("v2", parameter, existing=crd("v1", SIZE))
    with pytest.raises(Refused) as refusal:
        versions.converted_by(two, None)
    assert refusal.value.reason == "ConversionUnavailable"
    webhook = {"clientConfig": WEBHOOK, "conversionReviewVersions": ["v1"]}
    assert versions.converted_by(two, WEBHOOK)["spec"]["conversion"] == {"strategy": "Webhook", "webhook": webhook}


def test_too_many_parameters_to_be_recorded_are_published_but_never_converted() -> None:
    many = [{"path": f"tag.{'x' * 400}{index}", "name": f"p{index}", "type": "string"} for index in range(400)]
    one = crd("v1", *many)
    assert f"{versions.PARAMETERS}.v1" not in one["metadata"]["annotations"]
    assert versions.converted_by(one, None) == one
    with pytest.raises(Refused) as refusal:
        versions.converted_by(crd("v2", SIZE, existing=one), WEBHOOK)
    assert refusal.value.reason == "ConversionUnavailable"


def test_a_rule_of_the_whole_object_is_one_of_its_spec() -> None:
    one, two = crd("v1", SIZE), crd("v1", SIZE)
    rule = {"rule": "!has(oldSelf.spec.size) || has(self.spec.size)", "message": "can't be taken away"}
    two["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = [rule]
    found = [str(each) for each in versions.changes(one, two)]
    assert found == ["spec: must now satisfy !has(oldSelf.spec.size) || has(self.spec.size)"]


def test_all_values_as_parameters_are_recorded_as_such() -> None:
    whole = versions.together(api_for(offering(), chart_with(VALUES)).crd, None, None, plans=False)
    assert [edition.places for edition in versions.editions(whole).values()] == [None]


def test_what_changes_in_place_may_break_only_nobody() -> None:
    one, two = crd("v1", REPLICAS), crd("v1", {**REPLICAS, "maximum": 3})
    found = versions.changes(one, two)
    versions.check_in_place(two, found, [])
    with pytest.raises(Refused) as refusal:
        versions.check_in_place(two, found, [instance(replicas=1)])
    assert refusal.value.message == (
        "spec: v1 would break for those who use it: spec.replicas: maximum was 5, is now 3. "
        "None of the 1 living instances would become invalid, but who writes them may. "
        "Raise spec.api.version to v2, or undo the change; "
        "v1 is served as before, and existing instances stay as they are"
    )


def test_of_many_broken_instances_ten_are_named() -> None:
    two = crd("v1", {**REPLICAS, "maximum": 3})
    many = [{**instance(replicas=4), "metadata": {"name": f"n{index}", "namespace": "a"}} for index in range(13)]
    with pytest.raises(Refused, match=r"a/n9 \(spec.replicas: maximum is 3\), and 3 more\. Raise"):
        versions.check_in_place(two, versions.changes(crd("v1", REPLICAS), two), many)


@pytest.mark.parametrize(
    ("parameters", "spec", "fits"),
    [
        ([{**SIZE, "name": "disk"}, REPLICAS], {"size": "1", "replicas": 5}, True),
        ([{**SIZE, "name": "disk"}], {"size": "1"}, True),
        ([{**SIZE, "name": "disk"}], {"size": "1", "replicas": 5}, False),
        ([SIZE, {**REPLICAS, "maximum": 4}], {"replicas": 5}, False),
        ([SIZE, {**REPLICAS, "maximum": 4}], {"replicas": 4}, True),
        ([{**SIZE, "required": True}], {}, False),
        ([{**SIZE, "type": "integer"}], {"size": "1"}, False),
    ],
    ids=["renamed", "removed, unused", "removed, used", "too much", "just enough", "required", "retyped"],
)
def test_a_new_version_has_to_fit_every_instance(parameters: Any, spec: Any, *, fits: bool) -> None:
    whole = crd("v2", *parameters, existing=crd("v1", SIZE, REPLICAS))
    if fits:
        versions.check_migration(whole, "v1", [instance(**spec)])
        return
    with pytest.raises(Refused, match="1 of 1 instances would be invalid in v2: team-a/orders") as refusal:
        versions.check_migration(whole, "v1", [instance(**spec)])
    assert refusal.value.reason == "InstancesMustMigrate"


def test_a_default_that_goes_away_holds_nobody_back() -> None:
    """The API server sets it in every object that is read: nobody could get rid of it."""
    plans = [{"name": "small"}, {"name": "large"}]
    one = crd("v1", SIZE, {**REPLICAS, "default": 2}, plans=plans)
    whole = crd("v2", SIZE, existing=one)
    versions.check_migration(whole, "v1", [instance(replicas=2, plan="small")])
    with pytest.raises(Refused, match="the chart's value plan can't be set as it is in v2"):
        versions.check_migration(whole, "v1", [instance(replicas=2, plan="large")])


@pytest.mark.parametrize(
    ("url", "ca", "found"),
    [
        (None, False, None),
        ("https://127.0.0.1:1/x", False, None),
        ("https://127.0.0.1:1/x", True, {"url": "https://127.0.0.1:1/x/d.acme/e", "caBundle": "Y2E="}),
        (
            None,
            True,
            {
                "service": {"namespace": "chandlery", "name": "convert-instances", "path": "/d.acme/e", "port": 443},
                "caBundle": "Y2E=",
            },
        ),
    ],
    ids=["nothing", "no certificates", "one machine", "a cluster"],
)
def test_where_the_webhook_is(tmp_path: Path, url: str | None, found: Any, *, ca: bool) -> None:
    file = tmp_path / "ca.crt"
    if ca:
        file.write_text("ca")
    assert Webhook(url, file).client_config("d.acme", "e") == found
