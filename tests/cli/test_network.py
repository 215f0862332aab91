"""`chandlery network`: what its arguments mean. tests/e2e/test_policies.py types it."""

import pytest

from cli.network import parts, with_peer
from shared.errors import Refused


@pytest.mark.parametrize(
    ("told", "present", "expected"),
    [("", True, "x"), ("a, x", True, "a,x"), ("x", False, ""), ("a,x,b", False, "a,b")],
    ids=["first", "again", "last", "one of them"],
)
def test_a_peer_is_named_once_or_not_at_all(told: str, present: bool, expected: str) -> None:
    assert with_peer(told, "x", present=present) == expected


@pytest.mark.parametrize("text", ["orders", "databases/team-a/orders", "databases.a.b/team-a", "d.a.b/n/x/y"])
def test_what_names_no_instance_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Refused, match=r"plural\.group/namespace/name"):
        parts(text)
