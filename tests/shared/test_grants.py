"""Which roles and bindings follow from a Consumer and a Provider, whole."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import grants, ownership
from shared.access import Consumer, Provider
from shared.grants import USING, Owned, Released, changes, names_of
from shared.offering import Offering
from shared.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS
from tests import builders
from tests.builders import KEY

READING = ["get", "list", "watch"]
HOME = "database-team-a-orders"
RELEASE = Released(HOME, KEY, "orders-1")
EVENTS = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": READING}
QUOTAS = {"apiGroups": [""], "resources": ["resourcequotas"], "verbs": READING}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": USING}
DATABASES = [
    {"apiGroups": ["acme.example.com"], "resources": ["databases"], "verbs": USING},
    {"apiGroups": ["acme.example.com"], "resources": ["databases/status"], "verbs": ["get"]},
]


def consumer(name: str = "team-a", **spec: Any) -> Consumer:
    return Consumer.model_validate(
        {"metadata": {"name": name, "uid": "c-1", "generation": 1}, "spec": {"offerings": ["database"]} | spec}
    )


def provider(name: str = "acme", **spec: Any) -> Provider:
    return Provider.model_validate(
        {"metadata": {"name": name, "uid": "p-1", "generation": 1}, "spec": {"apiGroups": ["acme.example.com"]} | spec}
    )


def offering(name: str = "database", *, published: bool = True, **spec: Any) -> Offering:
    found = builders.offering(**spec)
    crd = found.crd if published else None
    status = found.status.model_copy(update={"api": found.status.api.model_copy(update={"crd": crd})})
    return found.model_copy(update={"metadata": found.metadata.model_copy(update={"name": name}), "status": status})


def labels(kind: str, name: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "chandlery", f"chandlery.dev/{kind}": name}


def test_a_consumer_has_exactly_its_kinds_in_exactly_its_namespaces() -> None:
    asked = consumer(subjects=[{"kind": "Group", "name": "oidc:team-a"}])
    mine = labels("consumer", "team-a")
    metadata = {"name": "chandlery:consumer", "namespace": "team-a", "labels": mine}
    subjects = [
        {"kind": "ServiceAccount", "name": "consumer-team-a", "namespace": "chandlery"},
        {"kind": "Group", "name": "oidc:team-a", "apiGroup": "rbac.authorization.k8s.io"},
    ]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "chandlery:consumer"}
    account = {"name": "consumer-team-a", "namespace": "chandlery", "labels": mine}
    assert grants.of_consumer(asked, ["team-a"], [offering()], [RELEASE]) == [
        Owned(SERVICE_ACCOUNTS, {"metadata": account, "automountServiceAccountToken": False}),
        Owned(ROLES, {"metadata": metadata, "rules": [*DATABASES, EVENTS, QUOTAS]}),
        Owned(ROLE_BINDINGS, {"metadata": metadata, "roleRef": reference, "subjects": subjects}),
    ]


OTHER: dict[str, Any] = {"api": {"group": "other.example.com", "kind": "Cache"}}


@pytest.mark.parametrize(
    ("offerings", "expected"),
    [
        pytest.param([offering()], [*DATABASES, EVENTS, QUOTAS], id="its own"),
        pytest.param([offering(), offering("cache", **OTHER)], [*DATABASES, EVENTS, QUOTAS], id="not another's"),
        pytest.param([offering(published=False)], [EVENTS, QUOTAS], id="not what was never published"),
        pytest.param(
            [offering(exports=[{"secret": "x", "as": "login"}])],
            [*DATABASES, EVENTS, QUOTAS, SECRETS],
            id="Secrets where some are exported",
        ),
        pytest.param(
            [offering(parameters=[{"path": "password", "secret": True}])],
            [*DATABASES, EVENTS, QUOTAS, SECRETS],
            id="Secrets where some are asked for",
        ),
    ],
)
def test_rights_follow_from_the_offerings(offerings: list[Offering], expected: list[dict[str, Any]]) -> None:
    asked = consumer()
    (role,) = [each for each in grants.of_consumer(asked, ["team-a"], offerings, []) if each.resource == ROLES]
    assert role.body["rules"] == expected


def test_a_star_stands_for_every_offering() -> None:
    offerings = [offering(), offering("cache", **OTHER)]
    rules = grants.consumer_rules(grants.on_offer(consumer(offerings=["*"]), offerings))
    assert [rule["resources"] for rule in rules[:4]] == [
        ["databases"],
        ["databases/status"],
        ["caches"],
        ["caches/status"],
    ]


def test_an_offering_opens_its_releases_as_far_as_it_says() -> None:
    access = {"logs": True, "portForward": True, "secrets": ["$(release.name)-tls", "$(instance.name)-login"]}
    found = grants.of_consumer(consumer(), ["team-a"], [offering(consumerAccess=access)], [RELEASE])
    role, binding = (each.body for each in found if each.body["metadata"]["name"] == "chandlery:consumer-access")
    assert role["metadata"] == {
        "name": "chandlery:consumer-access",
        "namespace": HOME,
        "labels": ownership.labels(KEY) | labels("consumer", "team-a"),
    }
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": READING},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "verbs": ["get"],
            "resourceNames": ["orders-1-tls", "orders-login"],
        },
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "consumer-team-a", "namespace": "chandlery"}]


def test_the_release_of_somebody_else_stays_closed() -> None:
    open_offering = offering(consumerAccess={"logs": True})
    found = grants.of_consumer(consumer("b", namespaces=["team-b"]), ["team-b"], [open_offering], [RELEASE])
    assert HOME not in {each.body["metadata"].get("namespace") for each in found}


def test_a_provider_has_its_groups_and_sees_its_releases() -> None:
    strange = Released("cache-team-a", KEY.model_copy(update={"group": "other.example.com"}))
    offerings = [offering(), offering("cache", **OTHER)]
    found = grants.of_provider(provider(offerings=["later"], secrets=["login"]), offerings, [RELEASE, strange])
    by_key = {each.key: each.body for each in found}
    name = "chandlery:provider:acme"
    assert set(by_key) == {
        ("serviceaccounts", "chandlery", "provider-acme"),
        ("clusterroles", "", name),
        ("clusterrolebindings", "", name),
        ("roles", "chandlery", name),
        ("rolebindings", "chandlery", name),
        ("rolebindings", HOME, name),
    }
    changing = ["get", "list", "watch", "update", "patch", "delete"]
    mine = {"apiGroups": ["chandlery.dev"], "resources": ["offerings"]}
    assert by_key["clusterroles", "", name]["rules"] == [
        {"apiGroups": ["acme.example.com"], "resources": ["offerings"], "verbs": ["offer"]},
        mine | {"verbs": ["create"]},
        mine | {"verbs": changing, "resourceNames": ["database", "later"]},
        {"apiGroups": ["acme.example.com"], "resources": ["databases"], "verbs": READING},
    ]
    assert by_key["roles", "chandlery", name]["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["offering-database"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["login"]},
    ]
    view = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "chandlery:provider-view"}
    assert by_key["rolebindings", HOME, name]["roleRef"] == view


def test_a_promised_name_that_another_provider_took_is_not_one_s_own() -> None:
    asked = provider(offerings=["cache", "later"])
    assert names_of(asked, [offering()]) == ["cache", "database", "later"]
    assert names_of(asked, [offering(), offering("cache", **OTHER)]) == ["database", "later"]


# What there is, and what there should be

ALL = [
    *grants.of_consumer(consumer(), ["team-a", "team-b"], [offering(consumerAccess={"logs": True})], [RELEASE]),
    *grants.of_provider(provider(secrets=["login"]), [offering()], [RELEASE]),
]
subsets = st.lists(st.sampled_from(ALL), unique_by=lambda owned: owned.key)


def after(found: list[Owned], todo: grants.Changes) -> list[Owned]:
    left = {each.key: each for each in found if each.key not in {gone.key for gone in todo.delete}}
    return list((left | {each.key: each for each in todo.apply}).values())


@given(wanted=subsets, found=subsets)
def test_after_the_changes_there_is_what_is_wanted_and_nothing_else(wanted: list[Owned], found: list[Owned]) -> None:
    now = after(found, changes(wanted, found))
    assert {each.key for each in now} == {each.key for each in wanted}
    assert not changes(wanted, now)


def edited(owned: Owned, **change: Any) -> Owned:
    return Owned(owned.resource, owned.body | change)


def test_what_was_edited_is_applied_and_a_binding_to_another_role_made_anew() -> None:
    account, role, binding = grants.of_consumer(consumer(), ["team-a"], [offering()], [])
    more = edited(role, rules=[SECRETS])
    elsewhere = edited(binding, roleRef=binding.body["roleRef"] | {"name": "cluster-admin"})
    assert changes([account, role, binding], [account, more, elsewhere]) == grants.Changes((binding,), (role, binding))


def test_a_binding_goes_before_its_role_and_comes_after_it() -> None:
    account, role, binding = grants.of_consumer(consumer(), ["team-a"], [offering()], [])
    assert changes([], [account, role, binding]).delete == (binding, role, account)
    assert [each.resource for each in changes([binding, role, account], []).apply] == [
        SERVICE_ACCOUNTS,
        ROLES,
        ROLE_BINDINGS,
    ]


def test_extra_rights_are_left_to_whoever_gave_them() -> None:
    extra = Owned(CLUSTER_ROLES, {"metadata": {"name": "chandlery:extra:consumer-team-a:1"}, "rules": []})
    assert not changes([], [extra])
    assert CLUSTER_ROLE_BINDINGS in grants.KINDS


def test_only_who_takes_part_by_message_can_be_acted_as_and_only_by_name() -> None:
    mine = labels("consumer", "team-a")
    metadata = {"name": "chandlery:act-as:consumer-team-a", "namespace": "chandlery", "labels": mine}
    only = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]}
    ours = [
        {"kind": "ServiceAccount", "name": name, "namespace": "chandlery"}
        for name in ("accept-request", "accept-usage", "functions")
    ]
    assert grants.acting(consumer()) == []
    assert grants.acting(consumer(nats=True)) == [
        Owned(ROLES, {"metadata": metadata, "rules": [only | {"resourceNames": ["consumer-team-a"]}]}),
        Owned(ROLE_BINDINGS, {"metadata": metadata, "roleRef": reference, "subjects": ours}),
    ]
    assert {each.body["metadata"]["name"] for each in grants.acting(provider(nats=True))} == {
        "chandlery:act-as:provider-acme"
    }
