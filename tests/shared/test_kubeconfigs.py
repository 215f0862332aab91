"""Kubeconfigs: what they say, and when they are renewed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared import kubeconfigs
from shared.kubeconfigs import Server, Term, Wanted, needs_renewal, parsed

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WANTED = Wanted(Server("https://api.example.com", "PEM"), "consumer-team-a", "u-1", "team-a", 600)


def secret(issued: timedelta = timedelta(), left: timedelta = timedelta(hours=1), **more: Any) -> dict[str, Any]:
    annotations = {
        kubeconfigs.ISSUED: kubeconfigs.told(NOW - issued),
        kubeconfigs.EXPIRES: kubeconfigs.told(NOW + left),
    }
    return {"metadata": {"annotations": annotations}, "data": {"kubeconfig": "..."}} | more


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(None, True, id="none"),
        pytest.param(secret(), False, id="new"),
        pytest.param(secret(timedelta(minutes=119)), False, id="a third is left"),
        pytest.param(secret(timedelta(hours=2)), True, id="less is left"),
        pytest.param(secret(left=-timedelta(hours=1)), True, id="over"),
        pytest.param(secret(data={}), True, id="empty"),
        pytest.param(secret(metadata={}), True, id="nobody said until when"),
        pytest.param(
            secret(metadata={"annotations": {kubeconfigs.ISSUED: "x", kubeconfigs.EXPIRES: "y"}}), True, id="nonsense"
        ),
    ],
)
def test_a_token_is_renewed_when_less_than_a_third_of_its_life_is_left(found: Any, expected: bool) -> None:
    assert needs_renewal(found, NOW) == expected


@given(life=st.integers(600, 10_000_000), age=st.integers(0, 10_000_000))
def test_whoever_reads_it_every_tick_has_a_good_one(life: int, age: int) -> None:
    term = Term(NOW, NOW + timedelta(seconds=life))
    now = NOW + timedelta(seconds=age)
    assert term.due(now) == (3 * age >= 2 * life)
    assert term.due(term.expires)


def test_a_kubeconfig_says_all_that_a_client_needs() -> None:
    assert yaml.safe_load(WANTED.text("secret")) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "chandlery",
                "cluster": {"server": "https://api.example.com", "certificate-authority-data": "UEVN"},
            }
        ],
        "users": [{"name": "consumer-team-a", "user": {"token": "secret"}}],
        "contexts": [
            {
                "name": "consumer-team-a",
                "context": {"cluster": "chandlery", "user": "consumer-team-a", "namespace": "team-a"},
            }
        ],
        "current-context": "consumer-team-a",
    }


def test_another_account_of_the_same_name_needs_another_token() -> None:
    other = Wanted(WANTED.server, WANTED.user, "u-2", WANTED.namespace, WANTED.lifetime)
    assert other.inputs != WANTED.inputs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "clusters: [{cluster: {server: 'https://a:6443', certificate-authority-data: UEVN}}]",
            Server("https://a:6443", "PEM"),
            id="as kubeadm writes it",
        ),
        pytest.param("clusters: []", None, id="no cluster"),
        pytest.param("{", None, id="no YAML"),
        pytest.param("just a word", None, id="no map"),
        pytest.param("clusters: [{cluster: {server: x, certificate-authority-data: '?'}}]", None, id="no base64"),
    ],
)
def test_what_the_cluster_says_of_itself_is_taken_if_it_makes_sense(text: str, expected: Server | None) -> None:
    assert parsed({"data": {"kubeconfig": text}}) == expected
