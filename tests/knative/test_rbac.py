"""Our own manifests give nobody more than is said, whoever edits them next."""

from typing import Any

import pytest
import yaml

from knative.local.layout import REPOSITORY, SOURCES, function_names

BASE = REPOSITORY / "knative/base"
FILES = ["namespace.yaml", "rbac.yaml", "grants.yaml", "marks.yaml"]
OBJECTS: list[dict[str, Any]] = [
    each for file in FILES for each in yaml.safe_load_all((BASE / file).read_text()) if each is not None
]
ROLES = [each for each in OBJECTS if each["kind"] in ("Role", "ClusterRole")]
BINDINGS = [each for each in OBJECTS if each["kind"] in ("RoleBinding", "ClusterRoleBinding")]
RULES = [(role["metadata"]["name"], rule) for role in ROLES for rule in role.get("rules") or []]
ACCOUNTS = {each["metadata"]["name"] for each in OBJECTS if each["kind"] == "ServiceAccount"}
ONES = sorted(name.replace("_", "-") for name in function_names())
ALL_IN_ONE = "functions"
ASKING_NOTHING = {"expose-usage", "keep-dead-letters", "nats-source", "record-usage", "tell-outsiders"}
"""Of the API server: they have no token to ask it with."""

FOR_PODS = {"convert-instances"}
"""Rights that only a pod needs: where all functions are one process, it is handed its certificates."""


def bound(binding: dict[str, Any]) -> set[str]:
    return {each["name"] for each in binding["subjects"] if each.get("namespace") == "chandlery"}


def roles_of(account: str) -> set[str]:
    return {binding["roleRef"]["name"] for binding in BINDINGS if account in bound(binding)}


def test_each_function_and_source_has_its_account_and_nobody_else() -> None:
    assert {*ONES, *SOURCES, ALL_IN_ONE} == ACCOUNTS


@pytest.mark.parametrize("account", sorted(ASKING_NOTHING))
def test_who_asks_nothing_of_the_api_server_has_no_token(account: str) -> None:
    (found,) = [each for each in OBJECTS if each["kind"] == "ServiceAccount" and each["metadata"]["name"] == account]
    assert found["automountServiceAccountToken"] is False


@pytest.mark.parametrize("account", ONES)
def test_what_one_function_may_the_process_that_serves_all_may(account: str) -> None:
    assert bool(roles_of(account)) != (account in ASKING_NOTHING)
    assert roles_of(account) - FOR_PODS <= roles_of(ALL_IN_ONE)


def test_nothing_is_allowed_by_a_wildcard() -> None:
    wild = [(name, rule) for name, rule in RULES if any("*" in rule.get(part, ()) for part in rule)]
    assert wild == []


def test_only_grant_access_may_hand_out_what_it_has_not() -> None:
    giving = {(name, verb) for name, rule in RULES for verb in rule["verbs"] if verb in ("escalate", "bind")}
    assert giving == {("chandlery-grant-access", "escalate"), ("chandlery-grant-access", "bind")}
    assert {account for account in ACCOUNTS if "chandlery-grant-access" in roles_of(account)} == {
        "grant-access",
        ALL_IN_ONE,
    }


def test_only_grant_access_writes_roles() -> None:
    writing = {
        name
        for name, rule in RULES
        if {"roles", "clusterroles"} & {*rule["resources"]} and {*rule["verbs"]} - {"get", "list", "watch"}
    }
    assert writing == {"chandlery-grant-access"}


def test_helm_is_acted_as_in_the_reserved_namespace_only() -> None:
    acting = [
        (role["metadata"], rule) for role in ROLES for rule in role.get("rules") or [] if "impersonate" in rule["verbs"]
    ]
    assert [(metadata["name"], metadata.get("namespace"), rule["resources"]) for metadata, rule in acting] == [
        ("act-as-helm", "chandlery-releases", ["serviceaccounts"])
    ]


def test_roles_that_are_put_together_have_no_rules_of_their_own() -> None:
    together = {role["metadata"]["name"] for role in ROLES if "aggregationRule" in role}
    assert together == {"chandlery-instances", "chandlery-charts", "chandlery-bindings"}
    assert together.isdisjoint(name for name, _ in RULES)


def test_every_policy_is_bound_and_denies() -> None:
    policies = {each["metadata"]["name"] for each in OBJECTS if each["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [each["spec"] for each in OBJECTS if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {each["policyName"] for each in bindings} == policies
    assert all(each["validationActions"] == ["Deny"] for each in bindings)
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert {*FILES} <= {*listed}
