"""NetworkPolicies as the specification means them: known cases, and a second, naive statement of the rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.netpol import Object, Pod, Port, matches, ports_of, reaches, types

HTTP = Port(80)
A = Pod("a", {"name": "a", "team": "red"}, {"app": "web"}, "10.0.0.1", {"http": 80})
B = Pod("b", {"name": "b", "team": "blue"}, {"app": "db"}, "10.0.0.2", {"http": 8080})
OUTSIDE = Pod(address="203.0.113.9")


def policy(namespace: str, **spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def ingress(*rules: Object, namespace: str = "b", **more: Any) -> Object:
    return policy(namespace, ingress=[*rules], policyTypes=["Ingress"], **more)


def egress(*rules: Object, namespace: str = "a", **more: Any) -> Object:
    return policy(namespace, egress=[*rules], policyTypes=["Egress"], **more)


def peer(**selectors: Any) -> Object:
    return {"from": [selectors]}


RED = {"namespaceSelector": {"matchLabels": {"team": "red"}}}
CASES = [
    pytest.param([], True, id="no policy"),
    pytest.param([ingress()], False, id="no rule"),
    pytest.param([ingress({})], True, id="an empty rule"),
    pytest.param([ingress(namespace="a")], True, id="of the source only"),
    pytest.param([egress()], False, id="the source may send nothing"),
    pytest.param([egress({"to": [RED]})], False, id="the source may send elsewhere"),
    pytest.param([egress({})], True, id="the source may send all"),
    pytest.param([policy("a", egress=[])], True, id="types left out: an empty egress isolates nobody"),
    pytest.param([policy("b")], False, id="types left out: ingress is isolated"),
    pytest.param([ingress(podSelector={"matchLabels": {"app": "other"}})], True, id="another pod is selected"),
    pytest.param([ingress({"from": []})], True, id="an empty list of peers is everybody"),
    pytest.param([ingress(peer(podSelector={}))], False, id="pods of its own namespace"),
    pytest.param([ingress(peer(namespaceSelector={}))], True, id="all namespaces"),
    pytest.param([ingress(peer(**RED))], True, id="a namespace by label"),
    pytest.param([ingress(peer(**RED, podSelector={"matchLabels": {"app": "x"}}))], False, id="both must match"),
    pytest.param([ingress({"from": [RED, {"podSelector": {}}]})], True, id="either may match"),
    pytest.param([ingress(peer(ipBlock={"cidr": "10.0.0.0/8"}))], True, id="a block"),
    pytest.param([ingress(peer(ipBlock={"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}))], False, id="an exception"),
    pytest.param([ingress({"ports": [{"port": 80}]})], True, id="its port"),
    pytest.param([ingress({"ports": [{"port": 81}]})], False, id="another port"),
    pytest.param([ingress({"ports": [{"port": 80, "protocol": "UDP"}]})], False, id="another protocol"),
    pytest.param([ingress({"ports": [{"protocol": "TCP"}]})], True, id="all ports of a protocol"),
    pytest.param([ingress({"ports": [{"port": 70, "endPort": 90}]})], True, id="a range"),
    pytest.param([ingress({"ports": [{"port": "http"}]})], False, id="a name means the target's port"),
    pytest.param([egress({"ports": [{"port": "http"}]})], False, id="a name means the target's, for egress too"),
    pytest.param([ingress(), ingress(peer(**RED))], True, id="they add up"),
    pytest.param([ingress(peer(**RED)), egress()], False, id="both ends must allow it"),
]


@pytest.mark.parametrize(("policies", "open_"), CASES)
def test_a_reaches_b_or_not(policies: list[Object], open_: bool) -> None:
    assert reaches(A, B, HTTP, policies) is open_


def test_what_is_no_pod_is_reached_by_its_address_only() -> None:
    block = {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}
    assert reaches(A, OUTSIDE, HTTP, [egress(block)])
    assert not reaches(A, OUTSIDE, HTTP, [egress({"to": [{"namespaceSelector": {}}]})])


@pytest.mark.parametrize(
    ("operator", "values", "labels", "fits"),
    [
        ("In", ["a"], {"k": "a"}, True),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {"k": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("Exists", [], {"k": ""}, True),
        ("Exists", [], {}, False),
        ("DoesNotExist", [], {}, True),
        ("DoesNotExist", [], {"k": "x"}, False),
    ],
)
def test_expressions(operator: str, values: list[str], labels: dict[str, str], fits: bool) -> None:
    assert matches({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}, labels) is fits


labels = st.dictionaries(st.sampled_from(["app", "team"]), st.sampled_from(["x", "y"]))
selectors = st.fixed_dictionaries({}, optional={"matchLabels": labels})
pods = st.builds(
    Pod,
    namespace=st.sampled_from(["a", "b", "c"]),
    home=labels,
    labels=labels,
    address=st.sampled_from(["10.0.0.1", "10.0.1.1", "192.168.0.1"]),
    ports=st.dictionaries(st.sampled_from(["http", "db"]), st.sampled_from([80, 443]), max_size=2),
)
blocks = st.fixed_dictionaries(
    {"cidr": st.sampled_from(["10.0.0.0/8", "0.0.0.0/0"])},
    optional={"except": st.lists(st.sampled_from(["10.0.0.0/24", "10.0.1.0/24"]), max_size=2)},
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}, optional={"podSelector": selectors}),
    st.fixed_dictionaries({"ipBlock": blocks}),
)
stated = st.fixed_dictionaries(
    {},
    optional={"protocol": st.sampled_from(["TCP", "UDP"]), "port": st.sampled_from([80, 443, "http"])},
)
ports = st.builds(Port, st.sampled_from([79, 80, 443]), st.sampled_from(["TCP", "UDP"]))


def rules(direction: str) -> st.SearchStrategy[list[Object]]:
    one = st.fixed_dictionaries(
        {}, optional={direction: st.lists(peers, max_size=2), "ports": st.lists(stated, max_size=2)}
    )
    return st.lists(one, max_size=2)


def _policy(namespace: str, spec: Object) -> Object:
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": spec}


policies = st.lists(
    st.builds(
        _policy,
        st.sampled_from(["a", "b"]),
        st.fixed_dictionaries(
            {"podSelector": selectors},
            optional={
                "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
                "ingress": rules("from"),
                "egress": rules("to"),
            },
        ),
    ),
    max_size=4,
)


def naive(source: Pod, target: Pod, port: Port, given: list[Object]) -> bool:
    """Every sentence of the specification once more, said as flatly as can be."""
    verdicts = []
    for pod, other, direction, rules, who in (
        (source, target, "Egress", "egress", "to"),
        (target, source, "Ingress", "ingress", "from"),
    ):
        isolated, open_ = False, False
        for each in given:
            if each["metadata"]["namespace"] != pod.namespace or direction not in types(each):
                continue
            if not each["spec"]["podSelector"].get("matchLabels", {}).items() <= dict(pod.labels).items():
                continue
            isolated = True
            for rule in each["spec"].get(rules, []):
                from_ = not rule.get(who)
                for one in rule.get(who, []):
                    from_ = from_ or _naive_peer(one, other, pod.namespace)
                to = not rule.get("ports")
                for one in rule.get("ports", []):
                    number = one.get("port", port.number)
                    number = target.ports.get(number) if isinstance(number, str) else number
                    to = to or (one.get("protocol", "TCP") == port.protocol and number == port.number)
                open_ = open_ or (from_ and to)
        verdicts.append(open_ or not isolated)
    return all(verdicts)


def _naive_peer(one: Object, other: Pod, here: str) -> bool:
    if "ipBlock" in one:
        prefixes = {"10.0.0.0/8": "10.", "0.0.0.0/0": "", "10.0.0.0/24": "10.0.0.", "10.0.1.0/24": "10.0.1."}
        address = str(other.address)
        inside = address.startswith(prefixes[one["ipBlock"]["cidr"]])
        return inside and not any(address.startswith(prefixes[each]) for each in one["ipBlock"].get("except", []))
    wanted = one.get("podSelector", {}).get("matchLabels", {})
    if "namespaceSelector" in one:
        home = one["namespaceSelector"].get("matchLabels", {}).items() <= dict(other.home).items()
    else:
        home = other.namespace == here
    return bool(home and wanted.items() <= dict(other.labels).items())


@given(pods, pods, ports, policies)
def test_both_statements_of_the_rules_agree(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    assert reaches(source, target, port, given) is naive(source, target, port, given)


@given(pods, pods, ports, policies)
def test_one_more_rule_that_allows_all_never_closes(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    opened = [{**each, "spec": {**each["spec"], "ingress": [{}], "egress": [{}]}} for each in given]
    assert reaches(source, target, port, given) <= reaches(source, target, port, [*given, *opened])


@given(pods, pods, ports, policies)
def test_the_order_of_policies_means_nothing(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    assert reaches(source, target, port, given) is reaches(source, target, port, given[::-1])


@given(pods, pods, ports)
def test_a_pod_that_may_receive_nothing_receives_nothing(source: Pod, target: Pod, port: Port) -> None:
    closed = policy(target.namespace, policyTypes=["Ingress"])
    assert not reaches(source, target, port, [closed])


def test_the_ports_that_make_a_difference_are_found() -> None:
    named = ingress({"ports": [{"port": 70, "endPort": 90}, {"port": 53, "protocol": "UDP"}, {"port": "http"}]})
    assert ports_of([named]) - ports_of([]) == {Port(70), Port(90), Port(53, "UDP")}
