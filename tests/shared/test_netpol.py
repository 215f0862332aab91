"""NetworkPolicies as the specification means them: known cases, and a second, naive statement of the rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.netpol import DIRECTIONS, Object, Pod, Port, edges, lane, matches, ports_of, reaches, selects

HTTP = Port(80)
A = Pod("a", {"name": "a", "team": "red"}, {"app": "web"}, "10.0.0.1", frozenset({("http", Port(80))}))
B = Pod("b", {"name": "b", "team": "blue"}, {"app": "db"}, "10.0.0.2", frozenset({("http", Port(8080))}))
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
expressions = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["app", "team"]),
        "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        "values": st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2),
    }
)
selectors = st.fixed_dictionaries(
    {}, optional={"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)}
)
pods = st.builds(
    Pod,
    namespace=st.sampled_from(["a", "b", "c"]),
    home=labels,
    labels=labels,
    address=st.sampled_from(["10.0.0.1", "10.0.1.1", "192.168.0.1"]),
    ports=st.frozensets(
        st.tuples(
            st.sampled_from(["http", "db"]),
            st.builds(Port, st.sampled_from([80, 443]), st.sampled_from(["TCP", "UDP"])),
        ),
        max_size=3,
    ),
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
protocols = st.fixed_dictionaries({}, optional={"protocol": st.sampled_from(["TCP", "UDP"])})
stated = st.one_of(
    protocols,
    st.builds(lambda said, port: {**said, "port": port}, protocols, st.sampled_from([80, 443, "http"])),
    st.builds(lambda said, end: {**said, "port": 80, "endPort": end}, protocols, st.sampled_from([80, 100, 65535])),
)
ports = st.builds(Port, st.sampled_from([1, 79, 80, 90, 101, 443, 65535]), st.sampled_from(["TCP", "UDP"]))


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
            spec = each["spec"]
            if "policyTypes" in spec:
                about = direction in spec["policyTypes"]
            else:
                about = direction == "Ingress" or len(spec.get("egress", [])) > 0
            here = each["metadata"]["namespace"] == pod.namespace
            if not (about and here and _naive_selector(spec["podSelector"], dict(pod.labels))):
                continue
            isolated = True
            for rule in spec.get(rules, []):
                from_ = not rule.get(who)
                for one in rule.get(who, []):
                    from_ = from_ or _naive_peer(one, other, pod.namespace)
                to = not rule.get("ports")
                for one in rule.get("ports", []):
                    to = to or port in _naive_ports(one, target)
                open_ = open_ or (from_ and to)
        verdicts.append(open_ or not isolated)
    return all(verdicts)


def _naive_ports(stated: Object, target: Pod) -> set[Port]:
    """All of them, one by one, of those that are asked about."""
    protocol = stated.get("protocol", "TCP")
    if "port" not in stated:
        numbers = {1, 79, 80, 90, 101, 443, 65535}
    elif stated["port"] == "http":
        numbers = {each.number for name, each in target.ports if name == "http" and each.protocol == protocol}
    else:
        last = int(stated.get("endPort") or stated["port"])
        numbers = set(range(stated["port"], last + 1))
    return {Port(number, protocol) for number in numbers if number in (1, 79, 80, 90, 101, 443, 8080, 65535)}


def _naive_selector(selector: Object, has: dict[str, str]) -> bool:
    verdicts = [has.get(key) == value for key, value in selector.get("matchLabels", {}).items()]
    for each in selector.get("matchExpressions", []):
        value = has.get(each["key"])
        verdicts.append(
            {
                "In": value is not None and value in each["values"],
                "NotIn": value is None or value not in each["values"],
                "Exists": value is not None,
                "DoesNotExist": value is None,
            }[each["operator"]]
        )
    return all(verdicts)


def _naive_peer(one: Object, other: Pod, here: str) -> bool:
    if "ipBlock" in one:
        prefixes = {"10.0.0.0/8": "10.", "0.0.0.0/0": "", "10.0.0.0/24": "10.0.0.", "10.0.1.0/24": "10.0.1."}
        address = str(other.address)
        inside = address.startswith(prefixes[one["ipBlock"]["cidr"]])
        return inside and not any(address.startswith(prefixes[each]) for each in one["ipBlock"].get("except", []))
    if "namespaceSelector" in one:
        home = _naive_selector(one["namespaceSelector"], dict(other.home))
    else:
        home = other.namespace == here
    return home and _naive_selector(one.get("podSelector", {}), dict(other.labels))


@given(pods, pods, ports, policies)
def test_both_statements_of_the_rules_agree(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    assert reaches(source, target, port, given) is naive(source, target, port, given)


OPEN = {"ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}


@given(pods, pods, ports, policies, policies)
def test_a_policy_that_allows_everything_to_whom_it_isolates_never_closes(
    source: Pod, target: Pod, port: Port, given: list[Object], more: list[Object]
) -> None:
    opening = [{**each, "spec": {"podSelector": each["spec"]["podSelector"], **OPEN}} for each in more]
    assert reaches(source, target, port, given) <= reaches(source, target, port, [*given, *opening])


@given(pods, pods, ports, policies, policies)
def test_one_more_policy_never_closes_to_whoever_is_isolated_already(
    source: Pod, target: Pod, port: Port, given: list[Object], more: list[Object]
) -> None:
    both = [policy(each, policyTypes=["Ingress", "Egress"]) for each in ("a", "b", "c")]
    assert reaches(source, target, port, [*both, *given]) <= reaches(source, target, port, [*both, *given, *more])


@given(pods, pods, policies)
def test_whoever_no_policy_selects_for_a_direction_is_open_in_it_and_nobody_else_is(
    source: Pod, target: Pod, given: list[Object]
) -> None:
    bare = [{**each, "spec": {**each["spec"], "ingress": [], "egress": []}} for each in given]
    types = [each["spec"].get("policyTypes", ["Ingress"]) for each in bare]

    def isolated(pod: Pod, direction: str) -> bool:
        return any(direction in stated and selects(each, pod) for each, stated in zip(bare, types, strict=True))

    shut = isolated(source, "Egress") or isolated(target, "Ingress")
    assert reaches(source, target, HTTP, bare) is not shut


def turned(given: list[Object]) -> list[Object]:
    """Ingress for egress and egress for ingress."""
    words = {"from": "to", "to": "from"}
    found = []
    for each in given:
        spec = each["spec"]
        sides = {
            other: [{words.get(key, key): value for key, value in rule.items()} for rule in spec.get(side, [])]
            for side, other in (("ingress", "egress"), ("egress", "ingress"))
        }
        stated = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        other = [name for name in DIRECTIONS if name not in stated] if len(stated) == 1 else stated
        found.append({**each, "spec": {"podSelector": spec["podSelector"], "policyTypes": other, **sides}})
    return found


@given(pods, pods, ports, policies)
def test_policies_turned_round_let_through_the_other_way_round(
    source: Pod, target: Pod, port: Port, given: list[Object]
) -> None:
    bare = [Pod(each.namespace, each.home, each.labels, each.address) for each in (source, target)]
    assert reaches(bare[0], bare[1], port, given) is reaches(bare[1], bare[0], port, turned(given))


@given(pods, pods, ports, policies)
def test_a_closed_lane_carries_nothing(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    found = lane(source, target, given)
    assert not (found.closed and found.carries(port))


@given(pods, pods, ports, policies)
def test_the_order_of_policies_means_nothing(source: Pod, target: Pod, port: Port, given: list[Object]) -> None:
    assert reaches(source, target, port, given) is reaches(source, target, port, given[::-1])


@given(pods, pods, ports)
def test_a_pod_that_may_receive_nothing_receives_nothing(source: Pod, target: Pod, port: Port) -> None:
    closed = policy(target.namespace, policyTypes=["Ingress"])
    assert not reaches(source, target, port, [closed])


def test_the_ports_that_make_a_difference_are_found() -> None:
    named = ingress({"ports": [{"port": 70, "endPort": 90}, {"port": 53, "protocol": "UDP"}, {"port": "http"}]})
    found = ports_of([named], [Port(8080)]) - ports_of([])
    assert found == {Port(70), Port(91), Port(53, "UDP"), Port(54, "UDP"), Port(8080), Port(8081)}


@given(pods, pods, ports, policies, policies)
def test_who_agrees_on_the_ports_that_make_a_difference_agrees_on_all(
    source: Pod, target: Pod, port: Port, one: list[Object], other: list[Object]
) -> None:
    known = ports_of([*one, *other], [each for _, each in target.ports])
    here, there = lane(source, target, one), lane(source, target, other)
    more = {each for each in known if here.carries(each) and not there.carries(each)}
    assert more or here.carries(port) <= there.carries(port)


@pytest.mark.parametrize(
    ("cidr", "expected"),
    [
        ("10.0.0.0/24", ["10.0.0.0", "10.0.1.0"]),
        ("224.0.0.0/3", ["224.0.0.0"]),
        ("fd00::/126", ["fd00::", "fd00::4"]),
        ("010.0.0.0/8", []),
    ],
    ids=["a block", "up to the last", "IPv6", "nothing that Python reads"],
)
def test_the_edges_of_a_block_are_on_both_sides(cidr: str, expected: list[str]) -> None:
    assert [*edges(cidr)] == expected
