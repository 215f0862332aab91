"""Rights from a file: what is understood, what is refused and how, what is made of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import extras
from shared.errors import Refused
from shared.extras import rules_in
from shared.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from tests.shared.test_grants import consumer, labels

PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("- {resources: [pods], verbs: [get]}", [PODS], id="a list; core is the default group"),
        pytest.param('{"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}', [PODS], id="JSON"),
        pytest.param(
            "kind: Role\nmetadata: {name: x}\nrules:\n- {apiGroups: [''], resources: [pods], verbs: [get]}",
            [PODS],
            id="a Role",
        ),
        pytest.param(
            "- {resources: [pods], resourceNames: [one], verbs: [get]}", [PODS | {"resourceNames": ["one"]}], id="names"
        ),
        pytest.param(
            "- {nonResourceURLs: [/metrics], verbs: [get]}",
            [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
            id="URLs",
        ),
    ],
)
def test_rules_are_read_as_people_write_them(text: str, expected: list[dict[str, Any]]) -> None:
    assert rules_in(text, "f") == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "f: is neither YAML nor JSON", id="no YAML"),
        pytest.param("just a word", "f: rules: Input should be a valid list", id="no rules"),
        pytest.param("[]", "f: rules: List should have at least 1 item", id="none"),
        pytest.param("- {resources: [pods]}", "f: rules.0.verbs: Field required", id="no verbs"),
        pytest.param("- {verbs: [get]}", "f: rules.0: give resources", id="nothing to do it to"),
        pytest.param("- {verbs: [get], resources: [pods], nonResourceURLs: [/x]}", "not both", id="both"),
        pytest.param("- {verbs: [get], resource: [pods]}", "f: rules.0.resource: Extra inputs", id="a typing error"),
        pytest.param("- {verbs: [get], nonResourceURLs: [/x], apiGroups: [a]}", "no apiGroups", id="URLs of a group"),
        pytest.param("a" * (extras.SIZE_LIMIT + 1), "has more than 64 KiB", id="too large"),
        pytest.param("[" * 5000, "f: ", id="too deep"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        rules_in(text, "f")
    assert said in refused.value.message


@given(st.text(max_size=200))
def test_no_file_crashes(text: str) -> None:
    try:
        assert rules_in(text, "f")
    except Refused as refused:
        assert refused.message.startswith("f: ")


def test_without_a_namespace_they_hold_everywhere() -> None:
    metadata = {"name": "chandlery:extra:consumer-team-a:3", "labels": labels("consumer", "team-a")}
    role, binding = extras.besides(consumer(), [PODS], 3, None)
    assert (role.resource, role.body) == (CLUSTER_ROLES, {"metadata": metadata, "rules": [PODS]})
    assert (binding.resource, binding.body["metadata"]) == (CLUSTER_ROLE_BINDINGS, metadata)


def test_urls_are_in_no_namespace() -> None:
    with pytest.raises(Refused, match="leave out --namespace"):
        extras.besides(consumer(), [{"nonResourceURLs": ["/x"], "verbs": ["get"]}], 1, "team-a")


def test_each_grant_has_a_number_of_its_own() -> None:
    first = extras.besides(consumer(), [PODS], 1, None)
    second = extras.besides(consumer(), [PODS], 2, "team-a")
    assert extras.next_number([]) == 1
    assert extras.next_number([*first, *second]) == 3
    assert [each.resource for each in extras.of_number([*first, *second], 2)] == [ROLES, ROLE_BINDINGS]
    assert extras.of_number([*first, *second], None) == [*first, *second]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("team-a", ("consumer", "team-a")), ("consumer/x", ("consumer", "x")), ("provider/acme", ("provider", "acme"))],
)
def test_a_name_alone_is_a_consumer_s(text: str, expected: tuple[str, str]) -> None:
    assert extras.kind_and_name(text) == expected
