"""Which passwords a chart wants handed back, in all the ways charts say it."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.offering import Values
from shared.passwords import ASKED_LIMIT, Asked, asked_for, handed_back, hidden, planted, read
from shared.values import Path, get

ROOT = Asked(("auth", "rootPassword"), "orders-mariadb", "mariadb-root-password")
USER = Asked(("auth", "password"), "orders-mariadb", "mariadb-password")


def single(
    path: str = "auth.rootPassword",
    variable: str = "MARIADB_ROOT_PASSWORD",
    namespace: str = '--namespace "ns"',
    held_in: str = "orders-mariadb",
    field: str = 'jsonpath="{.data.mariadb-root-password}"',
    decode: str = "-d",
    command: str = "",
) -> str:
    return (
        f"\n    '{path}' must not be empty, please add '--set {command or path}=${variable}' to the command."
        f" To get the current value:\n\n        export {variable}="
        f"$(kubectl get secret {namespace} {held_in} -o {field} | base64 {decode})\n"
    )


HEAD = (
    "UPGRADE FAILED: execution error at (mariadb/templates/NOTES.txt:83:4): \n"
    "PASSWORDS ERROR: You must provide your current passwords when upgrading the release."
)


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        pytest.param(HEAD + single(), [ROOT], id="one"),
        pytest.param(HEAD + single(namespace="--namespace ns", decode="--decode"), [ROOT], id="older"),
        pytest.param(HEAD + single(namespace="-n ns"), [ROOT], id="short option"),
        pytest.param(HEAD + single(namespace=""), [ROOT], id="no namespace"),
        pytest.param(HEAD + single(namespace="--namespace=other"), [], id="a foreign namespace"),
        pytest.param((HEAD + single()).replace("\n", " "), [ROOT], id="on one line"),
        pytest.param(
            HEAD + single() + single("auth.password", "MARIADB_PASSWORD", field="jsonpath='{.data.mariadb-password}'"),
            [ROOT, USER],
            id="two",
        ),
        pytest.param(
            HEAD + single("a.password", "PASSWORD", held_in="one") + single("b.password", "PASSWORD", held_in="two"),
            [
                Asked(("a", "password"), "one", "mariadb-root-password"),
                Asked(("b", "password"), "two", "mariadb-root-password"),
            ],
            id="two under one variable",
        ),
        pytest.param(
            HEAD + single(field=r'jsonpath="{.data.tls\.key}"'),
            [Asked(ROOT.path, ROOT.secret, "tls.key")],
            id="an escaped dot",
        ),
        pytest.param(
            HEAD + single(field="""jsonpath="{.data['tls.key']}\""""),
            [Asked(ROOT.path, ROOT.secret, "tls.key")],
            id="brackets",
        ),
        pytest.param(
            HEAD + single(field="""go-template='{{ index .data "tls.key" }}'"""),
            [Asked(ROOT.path, ROOT.secret, "tls.key")],
            id="a Go template",
        ),
        pytest.param(
            HEAD + single(command=r"auth.by\.host.password"),
            [Asked(("auth", "by.host", "password"), ROOT.secret, ROOT.key)],
            id="a dot in a value's name",
        ),
        pytest.param(HEAD + single("users[0].password"), [], id="an item of a list"),
        pytest.param(HEAD + single(held_in="'$(evil)'"), [], id="no name of a Secret"),
        pytest.param(
            "export PW=$(kubectl -n ns get secrets/orders-mariadb -o jsonpath='{.data.mariadb-root-password}' "
            '| base64 --decode)\nhelm upgrade orders chart --set-string auth.rootPassword="$PW"',
            [ROOT],
            id="the variable first",
        ),
        pytest.param(
            "try --set auth.rootPassword=$(kubectl get secret orders-mariadb -n ns "
            "-ojsonpath={.data.mariadb-root-password} | base64 -d)",
            [ROOT],
            id="no variable",
        ),
        pytest.param(
            "helm upgrade --set auth.rootPassword=$A,auth.password=${B}\n"
            "A=$(kubectl get secret orders-mariadb -o jsonpath={.data.mariadb-root-password} | base64 -d)\n"
            "B=$(kubectl get secret orders-mariadb -o jsonpath={.data.mariadb-password} | base64 -d)\n",
            [ROOT, USER],
            id="two in one option",
        ),
        pytest.param(
            "execution error at (shop/charts/db/templates/secrets.yaml:4:17): " + single("auth.rootPassword"),
            [Asked(("db", *ROOT.path), ROOT.secret, ROOT.key)],
            id="a subchart that knows only itself",
        ),
        pytest.param(
            "execution error at (shop/charts/db/templates/secrets.yaml:4:17): "
            + single("auth.rootPassword", command="db.auth.rootPassword"),
            [Asked(("db", *ROOT.path), ROOT.secret, ROOT.key)],
            id="a subchart that names itself",
        ),
        pytest.param(
            "execution error at (shop/charts/a/charts/b/templates/secrets.yaml:4:17): "
            + single("auth.rootPassword", command="b.auth.rootPassword"),
            [Asked(("a", "b", *ROOT.path), ROOT.secret, ROOT.key)],
            id="a subchart's subchart",
        ),
        pytest.param(
            "template: shop/templates/NOTES.txt:59:4: executing x: error calling include: "
            "template: shop/charts/common/templates/_errors.tpl:18:48: " + single("db.auth.rootPassword"),
            [Asked(("db", *ROOT.path), ROOT.secret, ROOT.key)],
            id="the parent for its subchart",
        ),
        pytest.param(
            "PASSWORDS ERROR: The secret \"x\" does not contain the key 'y'", [], id="a Secret that lacks the key"
        ),
        pytest.param("auth.password is required", [], id="another failure"),
    ],
)
def test_what_a_message_asks_for(message: str, asked: list[Asked]) -> None:
    assert asked_for(message, "ns") == tuple(asked)


@given(st.text() | st.lists(st.sampled_from([single(), "--set ", "a=$B", "'", "$(kubectl ", "charts/"])).map("".join))
def test_no_message_is_too_strange(message: str) -> None:
    assert len(asked_for(message, "ns")) <= ASKED_LIMIT


def test_a_message_that_asks_for_very_much_costs_little() -> None:
    assert len(asked_for("".join(single(f"p{number}") for number in range(1000)), "ns")) == ASKED_LIMIT
    assert asked_for("$(kubectl " * 6000, "ns") == ()
    assert asked_for("--set a" * 9000, "ns") == ()


@pytest.mark.parametrize(
    ("values", "found", "filled"),
    [
        pytest.param({}, {("auth", "password"): "s"}, {"auth": {"password": "s"}}, id="nothing set"),
        pytest.param({"auth": {"user": "u", "password": ""}}, {("auth", "password"): "s"}, None, id="empty"),
        pytest.param(
            {"auth": {"password": "mine"}}, {("auth", "password"): "s"}, {"auth": {"password": "mine"}}, id="set"
        ),
        pytest.param({"auth": {"password": 0}}, {("auth", "password"): "s"}, {"auth": {"password": 0}}, id="zero"),
        pytest.param({"auth": None}, {("auth", "password"): "s"}, {"auth": None}, id="taken out"),
        pytest.param({"auth": "x"}, {("auth", "password"): "s"}, {"auth": "x"}, id="something in the way"),
        pytest.param({"a": 1}, {("auth", "password"): ""}, {"a": 1}, id="an empty password"),
    ],
)
def test_only_what_is_empty_is_filled_in(values: Values, found: dict[Path, str], filled: Values | None) -> None:
    assert handed_back(values, found) == (filled or {"auth": {"user": "u", "password": "s"}})


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([{"a": "set"}, {"b": ""}, "set", None, {}])),
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), st.text()),
)
def test_whatever_is_handed_back_replaces_nothing(values: Values, found: dict[Path, str]) -> None:
    filled = handed_back(values, found)
    for key, value in values.items():
        under = value if isinstance(value, dict) else {}
        assert value == filled[key] or isinstance(value, dict)
        assert all(get(filled, (key, name)) == each for name, each in under.items() if each)


@pytest.mark.parametrize(
    ("secret", "password"),
    [
        ({"data": {"key": base64.b64encode(b"p,a=ss\n").decode()}}, "p,a=ss"),
        ({"data": {"key": ""}}, None),
        ({"data": {"other": "eA=="}}, None),
        ({"data": {"key": base64.b64encode(b"\xff\xfe").decode()}}, None),
        ({"type": "helm.sh/release.v1", "data": {"key": "eA=="}}, None),
        ({}, None),
    ],
    ids=["text", "empty", "no such key", "no text", "one of Helm's own", "no Secret"],
)
def test_how_a_password_is_read(secret: dict[str, Any], password: str | None) -> None:
    assert read(secret, "key") == password


def test_what_a_consumer_wrote_asks_for_nothing() -> None:
    assert planted({"motd": ["add --set image.tag=$PASSWORD"]})
    assert planted({"kubectl get secret": 1})
    assert not planted({"a": [{"b": "plain"}], "c": 1, "d": None})


def test_passwords_are_not_quoted() -> None:
    said = "auth.password: 'tops3cret' does not match; tops3cret-2"
    assert hidden(said, ["tops3cret", "tops3cret-2"]) == "auth.password: '***' does not match; ***"
