"""`chandlery doctor`: what each check makes of what was read. tests/cli/test_doctor.py runs them on real clusters."""

from typing import Any

import pytest
from sqlalchemy.engine import make_url

from cli import kinds
from cli.checks import eventing, kubernetes, ledger, metrics, network, ours, rights, streams, workloads
from cli.checks.finding import Finding
from shared.crds import offering_crd
from tests.cli.test_finding import found, group

Object = dict[str, Any]


@pytest.mark.parametrize(
    ("said", "state", "message"),
    [
        pytest.param({"major": "1", "minor": "35", "gitVersion": "v1.35.4"}, "ok", "version v1.35.4", id="new"),
        pytest.param({"major": "1", "minor": "30+", "gitVersion": "v1.30.9-gke"}, "ok", "version v1.30.9-gke", id="+"),
        pytest.param(
            {"major": "1", "minor": "29", "gitVersion": "v1.29.1"},
            "missing",
            "version v1.29.1 is older than 1.30, the first that bounds what we may do",
            id="old",
        ),
        pytest.param(
            {"minor": "35", "gitVersion": "v1.35.4", "emulationMajor": "1", "emulationMinor": "29"},
            "missing",
            "version v1.35.4, behaving as 1.29 is older than 1.30, the first that bounds what we may do",
            id="emulated",
        ),
        pytest.param({}, "unknown", "says that it is version ?, which can't be understood", id="silent"),
    ],
)
def test_an_old_kubernetes_is_told_by_the_version_it_behaves_like(said: Object, state: str, message: str) -> None:
    (finding,) = kubernetes.version(said)
    assert (finding.state, finding.message) == (state, message)


def test_admission_policies_are_looked_for() -> None:
    served = [found("validatingadmissionpolicies", "ValidatingAdmissionPolicy")]
    more = [*served, found("mutatingadmissionpolicies", "MutatingAdmissionPolicy")]
    states = [
        [each.state for each in kubernetes.admission(kinds.kinds_of([group(kubernetes.ADMISSION, *some)]))]
        for some in ([], served, more)
    ]
    assert states == [["missing", "limited"], ["ok", "limited"], ["ok", "ok"]]


def test_a_default_storage_class_is_wanted() -> None:
    states = (kubernetes.storage(["a"], "a"), kubernetes.storage(["a"], None), kubernetes.storage([], None))
    assert [found[0].state for found in states] == ["ok", "limited", "limited"]
    assert "there are a, b" in kubernetes.storage(["b", "a"], None)[0].message


@pytest.mark.parametrize(
    ("labels", "state"),
    [
        ({eventing.VERSION: "1.20.2"}, "ok"),
        ({eventing.VERSION: "v1.14.0"}, "missing"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
    ids=["new", "old", "unsaid", "hidden"],
)
def test_knative_is_judged_by_its_version(labels: dict[str, str] | None, state: str) -> None:
    assert eventing.version(labels).state == state


@pytest.mark.parametrize(("name", "state"), [("Kafka", "ok"), ("MTChannelBasedBroker", "limited"), ("Mine", "unknown")])
def test_a_broker_class_keeps_events_or_not(name: str, state: str) -> None:
    assert eventing.of_class(name).state == state


def broker(status: str, **more: str) -> Object:
    return {"metadata": {"name": "instances"}, "status": {"conditions": [{"type": "Ready", "status": status, **more}]}}


def test_a_broker_that_is_not_ready_says_why() -> None:
    bad = broker("False", reason="ChannelFailed", message="no such class")
    assert eventing.ready("Broker", [broker("True")]).state == "ok"
    assert eventing.ready("Broker", [broker("True"), bad, bad]) == Finding(
        "eventing",
        "missing",
        "Broker instances is not Ready (and 1 more): ChannelFailed: no such class",
        "kubectl -n chandlery describe broker instances",
    )
    assert eventing.ready("Broker", []).fix == "chandlery install"
    assert "controller for its class" in eventing.ready("Broker", [{"metadata": {"name": "x"}}]).fix


def daemon_set(name: str, *containers: str) -> Object:
    template = {"spec": {"containers": [{"name": each} for each in containers]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("sets", "state", "says"),
    [
        pytest.param([], "unknown", "not known", id="none"),
        pytest.param([daemon_set("kindnet-x")], "unknown", "not known", id="unknown"),
        pytest.param([daemon_set("calico-node")], "ok", "Calico", id="calico"),
        pytest.param([daemon_set("kube-flannel-ds"), daemon_set("calico-node")], "ok", "Calico", id="canal"),
        pytest.param([daemon_set("kube-flannel-ds")], "limited", "Flannel ignores", id="flannel"),
        pytest.param([daemon_set("aws-node", "aws-node")], "unknown", "not known", id="aws alone"),
        pytest.param([daemon_set("aws-node", "aws-eks-nodeagent")], "ok", "AWS", id="aws with its agent"),
    ],
)
def test_network_policies_are_in_force_as_far_as_plugins_are_known(sets: list[Object], state: str, says: str) -> None:
    finding = network.judged(sets)
    assert finding.state == state
    assert says in finding.message


def test_rights_that_are_lacking_are_named() -> None:
    one, two = rights.NEEDED[:2]
    accounts = {one.account, two.account}
    assert [each.state for each in rights.judged(accounts, {one: True, two: True})] == ["ok"]
    assert rights.judged(accounts, {one: True, two: False}) == [
        Finding("rights", "missing", "service account apply-policies may not create namespaces", "chandlery upgrade")
    ]
    assert "apply-policies" in rights.judged({one.account}, {one: True, two: True})[0].message


def test_rights_that_are_tried_are_of_accounts_that_exist() -> None:
    from knative.local.credentials import _accounts  # noqa: PLC0415 only here

    assert {each.account for each in rights.NEEDED} <= {*_accounts()}


def test_nodes_that_do_not_answer_are_told_from_rights_that_lack() -> None:
    states = [
        metrics.of_nodes(2, answers).state
        for answers in ({"a": ""}, {"a": "forbidden", "b": "forbidden"}, {"a": "", "b": "no route"}, {})
    ]
    assert states == ["ok", "unknown", "limited", "missing"]
    assert metrics.of_function(may=False).state == "missing"


def test_kinds_of_another_version_are_told_from_ours() -> None:
    wanted = offering_crd()
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    assert ours.judged(wanted, None).fix == "chandlery install"
    assert ours.judged(wanted, wanted | {"status": {}}).message.endswith("is not served: it is not served yet")
    assert ours.judged(wanted, wanted | {"status": established}).state == "ok"
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    old = wanted["spec"] | {"versions": [wanted["spec"]["versions"][0] | {"schema": schema}]}
    assert ours.judged(wanted, {"spec": old, "status": established}).fix == "chandlery upgrade"


def test_our_own_pods_are_looked_at() -> None:
    ready = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    up = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "resync"}, "status": ready}
    down = up | {"status": {"observedGeneration": 1}}
    assert workloads.judged([]).state == "unknown"
    assert workloads.judged([up]).state == "ok"
    assert workloads.judged([up, down]) == Finding(
        "functions",
        "missing",
        "deployment resync is not ready: deployment resync: 0 of 1 pods are updated",
        "kubectl -n chandlery describe pods -l app.kubernetes.io/name=resync",
    )


def test_no_password_is_shown() -> None:
    assert streams.shown("nats://user:geheim@host:4222") == "nats://host:4222"
    url = make_url("postgresql+asyncpg://user:geheim@host:5432/ledger")
    assert ledger.shown(url) == "postgresql://host:5432/ledger"
    assert ledger.why(OSError("no geheim"), url) == "no ***"


def test_where_nats_is_follows_what_was_said(tmp_path: Any) -> None:
    assert streams.where({"LOCAL": str(tmp_path)}) is None
    assert streams.where({"LOCAL": str(tmp_path), "NATS_URL": "nats://a"}) == "nats://a"
    (tmp_path / "nats").write_text("nats://b\n")
    assert streams.where({"LOCAL": str(tmp_path)}) == "nats://b"
