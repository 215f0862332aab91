"""What an argument names."""

import pytest

from cli import kinds
from cli.finding import parts
from cli.kinds import kinds_of
from shared.errors import Refused

Object = dict[str, object]


def found(plural: str, kind: str, *short: str, categories: tuple[str, ...] = ("chandlery",)) -> Object:
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "singularResource": kind.lower(),
        "scope": "Namespaced",
        "shortNames": [*short],
        "categories": [*categories],
        "verbs": ["get", "list"],
    }


def group(name: str, *resources: Object, version: str = "v1") -> Object:
    return {"metadata": {"name": name}, "versions": [{"version": version, "resources": [*resources]}]}


SERVED = kinds_of(
    [
        group("acme.example.com", found("databases", "Database", "db"), found("caches", "Cache")),
        group("other.example.com", found("caches", "Cache"), found("things", "Thing", categories=())),
        group("chandlery.dev", found("offerings", "Offering")),
    ]
)


@pytest.mark.parametrize(
    ("said", "namespace", "expected"),
    [
        ("orders", None, (None, None, "orders")),
        ("orders", "team-a", (None, "team-a", "orders")),
        ("database/orders", "team-a", ("database", "team-a", "orders")),
        ("db/orders", None, ("db", None, "orders")),
        ("databases.acme.example.com/orders", None, ("databases.acme.example.com", None, "orders")),
        ("team-a/orders", None, (None, "team-a", "orders")),
        ("databases.acme.example.com/team-a/orders", None, ("databases.acme.example.com", "team-a", "orders")),
    ],
)
def test_a_kind_a_namespace_and_a_name_are_told_apart(said: str, namespace: str | None, expected: object) -> None:
    assert parts(said, namespace, SERVED) == expected


@pytest.mark.parametrize("said", ["", "/", "a/", "a//b", "a/b/c/d"])
def test_what_names_nothing_is_refused_with_the_form(said: str) -> None:
    with pytest.raises(Refused, match="write it as KIND/NAME"):
        parts(said, None, SERVED)


@pytest.mark.parametrize("word", ["database", "databases", "Database", "db", "databases.acme.example.com"])
def test_a_kind_has_many_names(word: str) -> None:
    assert kinds.named(word, SERVED).full == "databases.acme.example.com"


def test_a_kind_of_two_groups_has_to_be_said_in_full() -> None:
    with pytest.raises(Refused, match=r"write caches\.acme\.example\.com or caches\.other\.example\.com"):
        kinds.named("cache", SERVED)
    assert kinds.named("cache.other.example.com", SERVED).resource.group == "other.example.com"


def test_kinds_of_others_are_not_ours() -> None:
    with pytest.raises(Refused, match="there are: caches"):
        kinds.named("thing", SERVED)
    assert [kind.full for kind in kinds.of_instances(SERVED)] == [
        "caches.acme.example.com",
        "caches.other.example.com",
        "databases.acme.example.com",
    ]
