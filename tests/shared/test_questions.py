"""What is asked about a Consumer's rights, and what an answer means."""

from typing import Any

import pytest

from shared.access import Consumer
from shared.grants import Released, consumer_rules, instance_rules
from shared.isolation import Finding
from shared.questions import Question, abroad, answered, at_home, bindings_of, identity, in_release, in_the_cluster
from shared.resources import Resource
from tests.builders import KEY, offering

CONSUMER = Consumer.model_validate({"metadata": {"name": "team-a"}, "spec": {"offerings": ["database"]}})
DATABASES = Resource("acme.example.com", "v1alpha1", "databases", "Database")
HOME = "database-team-a-orders"
RELEASED = Released(HOME, KEY, "orders")
OPENED = {"consumerAccess": {"logs": True, "portForward": True, "secrets": ["$(release.name)-login"]}}
TAKES = {"exports": [{"secret": "login", "as": "login"}]}


def covered(question: Question, rules: list[dict[str, Any]]) -> bool:
    """What RBAC says to it."""
    resource = "/".join(filter(None, (question.resource, question.subresource)))
    return any(
        question.group in rule["apiGroups"]
        and resource in rule["resources"]
        and question.verb in rule["verbs"]
        and ("resourceNames" not in rule or question.name in rule["resourceNames"])
        for rule in rules
    )


@pytest.mark.parametrize("spec", [{}, TAKES], ids=["without Secrets", "with Secrets"])
def test_what_is_expected_at_home_is_what_is_granted_there(spec: dict[str, Any]) -> None:
    given = offering(**spec)
    rules = consumer_rules([given])
    asked = [*at_home("team-a", [DATABASES], secrets=bool(spec))]
    assert [each for each in asked if covered(each, rules) is not each.allowed] == []
    assert any(each.allowed for each in asked)


@pytest.mark.parametrize("spec", [{}, OPENED], ids=["closed", "opened"])
def test_what_is_expected_of_a_release_is_what_its_offering_opens(spec: dict[str, Any]) -> None:
    given = offering(**spec)
    asked = [*in_release(given, RELEASED)]
    assert [each for each in asked if covered(each, instance_rules(given, RELEASED)) is not each.allowed] == []
    opened = {f"spec.consumerAccess.{key}" for key in spec.get("consumerAccess", ())}
    assert {each.opened for each in asked if each.allowed} == opened


def test_nothing_is_expected_abroad_or_in_the_cluster() -> None:
    asked = [*abroad("team-b", [DATABASES]), *in_the_cluster([DATABASES])]
    assert not any(each.allowed for each in asked)
    assert len(set(asked)) == len(asked)


def test_it_is_asked_as_whoever_has_the_kubeconfig() -> None:
    question = Question("list pods in x", "list", "", "pods", "x")
    assert question.review(*identity(CONSUMER)) == {
        "spec": {
            "user": "system:serviceaccount:chandlery:consumer-team-a",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:chandlery", "system:authenticated"],
            "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "x"},
        }
    }


def by(name: str) -> dict[str, Any]:
    return {"allowed": True, "reason": f'RBAC: allowed by {name} of Role "chandlery:extra:x" to ServiceAccount "y"'}


@pytest.mark.parametrize(
    ("promised", "status", "verdict", "fix"),
    [
        (True, {"allowed": True}, "allowed", ""),
        (False, {"allowed": False}, "denied", ""),
        (True, {"allowed": False}, "wrong", "condition Ready"),
        (False, by('RoleBinding "by-hand/x"'), "wrong", "`kubectl delete rolebinding by-hand -n x`"),
        (False, by('ClusterRoleBinding "by-hand"'), "wrong", "`kubectl delete clusterrolebinding by-hand`"),
        (False, by('RoleBinding "chandlery:extra:consumer-a:1/x"'), "granted", "chandlery:extra"),
        (False, by('RoleBinding "chandlery:consumer/x"'), "wrong", "the resync mends it"),
        (False, {"allowed": True}, "wrong", "who authorizes"),
    ],
    ids=["may", "may not", "lacks", "by hand", "by hand everywhere", "on record", "its own role was edited", "else"],
)
def test_an_answer_is_held_against_the_promise(promised: bool, status: dict[str, Any], verdict: str, fix: str) -> None:
    question = Question("list pods in x", "list", "", "pods", "x", allowed=promised)
    found = answered("consumer team-a", question, status)
    assert found.verdict == verdict
    assert fix in found.fix


def test_what_an_offering_opens_is_told_as_granted() -> None:
    question = Question("get pods/log in x", "get", "", "pods", "x", allowed=True, opened="spec.consumerAccess.logs")
    found = answered("x/one", question, {"allowed": True})
    assert found == Finding("x/one", "granted", "may get pods/log in x", "spec.consumerAccess.logs")


def binding(called: str, where: str, /, **subject: str) -> dict[str, Any]:
    role = {"kind": "ClusterRole", "name": "view"}
    return {"metadata": {"name": called, "namespace": where}, "roleRef": role, "subjects": [subject]}


ACCOUNT = {"kind": "ServiceAccount", "name": "consumer-team-a", "namespace": "chandlery"}


@pytest.mark.parametrize(
    ("given", "verdicts"),
    [
        (binding("by-hand", "team-b", **ACCOUNT), ["wrong"]),
        (binding("by-hand", "team-b", kind="User", name="system:serviceaccount:chandlery:consumer-team-a"), ["wrong"]),
        (binding("by-hand", "team-b", kind="Group", name="system:authenticated"), ["wrong"]),
        (binding("chandlery:extra:consumer-team-a:1", "team-b", **ACCOUNT), ["granted"]),
        (binding("by-hand", "team-a", **ACCOUNT), []),
        (binding("by-hand", "team-b", kind="Group", name="admins"), []),
        (binding("by-hand", "team-b", **{**ACCOUNT, "namespace": "team-b"}), []),
        ({**binding("by-hand", "team-b"), "subjects": None}, []),
    ],
    ids=["account", "user", "all", "on record", "at home", "another group", "a namesake", "nobody"],
)
def test_bindings_abroad_are_found(given: dict[str, Any], verdicts: list[str]) -> None:
    found = [*bindings_of(CONSUMER, [given], ["team-a", HOME])]
    assert [each.verdict for each in found] == verdicts
    assert all(each.namespace == "team-b" for each in found if each.verdict == "wrong")
