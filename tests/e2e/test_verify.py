"""Isolation is looked at, not believed: what is broken by hand is named, on the instance and in the terminal."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from functions.verify_isolation import due
from knative.local.layout import REPOSITORY
from shared.errors import ApiError
from shared.isolation import ENFORCE
from shared.questions import RBAC
from shared.resources import CONSUMERS, NETWORK_POLICIES, PROVIDERS, ROLE_BINDINGS, ROLES, Resource
from tests.e2e.test_access import Access, access, order
from tests.e2e.world import conditions

__all__ = ["access"]

Object = dict[str, Any]

ADMISSION = "admissionregistration.k8s.io"
POLICIES = Resource(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False)
BINDINGS = Resource(
    ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", namespaced=False
)
KINDS = {"a": "Database", "b": "Cache"}


def test_of_all_ticks_one_in_ten_minutes_counts() -> None:
    assert [second for second in range(0, 1800, 30) if due(second, 30)] == [0, 600, 1200]
    assert due(601, 3600)


@dataclass(frozen=True)
class Tenancy:
    """Two Consumers, each with an instance of its own Offering."""

    access: Access
    homes: dict[str, str]

    def called(self, who: str) -> str:
        return f"{self.access.name(who)}/one"

    def full(self, who: str) -> str:
        kind = self.access.world.kind(KINDS[who])
        return f"{kind.plural}.{kind.group}/{self.called(who)}"

    async def instance(self, who: str) -> Object:
        found = await self.access.world.cluster.get(self.access.world.kind(KINDS[who]), "one", self.access.name(who))
        assert found
        return found

    async def verified(self, who: str, reason: str) -> Object:
        """The condition, once it has this reason."""
        world = self.access.world

        async def said() -> Object | None:
            await self.access.tick(seconds=3600)
            await asyncio.sleep(1)
            told = conditions(await self.instance(who)).get("Verified")
            return told if told and told["reason"] == reason else None

        return await world.eventually(said, f"Verified of {who} says {reason}", lambda: self.instance(who))

    async def look(self, who: str) -> list[Object]:
        _, out = await verify(self.access, self.called(who), "--output", "json")
        return list(json.loads(out))

    async def wrong(self, who: str) -> list[str]:
        return [each["what"] for each in await self.look(who) if each["verdict"] == "wrong"]

    async def well(self) -> None:
        """All is as promised."""

        async def both() -> bool:
            return not [each for who in KINDS for each in await self.wrong(who)]

        async def shown() -> list[str]:
            return [each for who in KINDS for each in await self.wrong(who)]

        await self.access.world.eventually(both, "everything is as promised", shown)


async def verify(access: Access, *arguments: str, **more: str) -> tuple[int, str]:
    """Exit code and what is printed, errors last."""
    kubeconfig = str(access.world.stack.layout.kubeconfig)
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "TERM": "dumb", "COLUMNS": "400", **more}
    command = [sys.executable, "-m", "cli", "verify", "isolation", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def tenancy(access: Access) -> Tenancy:
    world, homes = access.world, {}
    for who, kind in KINDS.items():
        await world.offered(kind, "small")
        await access.consumer(who, world.offering_name(kind))
        theirs = await access.as_(CONSUMERS, who)
        await theirs.create(world.kind(kind), order("one", access.name(who)))
    for who, kind in KINDS.items():
        homes[who] = await released(access, kind, access.name(who))
    found = Tenancy(access, homes)
    await found.well()
    return found


async def released(access: Access, kind: str, namespace: str) -> str:
    async def ready() -> Object | None:
        found = await access.world.cluster.get(access.world.kind(kind), "one", namespace)
        return found if conditions(found).get("Ready", {}).get("status") == "True" else None

    found = await access.world.eventually(ready, f"{kind} is ready")
    return str(found["status"]["release"]["namespace"])


def account(access: Access, who: str) -> Object:
    return {"kind": "ServiceAccount", "name": f"consumer-{access.name(who)}", "namespace": "chandlery"}


async def bind(access: Access, who: str, role: str, namespace: str) -> None:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    metadata = {"name": "by-hand", "namespace": namespace}
    body = {"metadata": metadata, "roleRef": reference, "subjects": [account(access, who)]}
    await access.world.cluster.create(ROLE_BINDINGS, body)


async def test_what_is_as_promised_is_told_line_by_line(access: Access) -> None:
    found = await tenancy(access)
    code, out = await verify(access, found.called("a"))
    assert code == 0, out
    home, theirs = found.homes["a"], found.homes["b"]
    seen = await found.look("a")
    told = {each["what"]: each["verdict"] for each in seen}
    databases = access.world.kind("Database").plural
    expected = {
        f"create {databases} in {access.name('a')}": "allowed",
        f"patch {databases}/status in {access.name('a')}": "denied",
        f"get secrets in {home}": "denied",
        f"create pods/exec in {home}": "denied",
        f"traffic beyond its policy: NetworkPolicy {home}/chandlery": "denied",
        f"pods beyond baseline: {ENFORCE}": "denied",
        f"{home} reaches {theirs}": "denied",
        "list nodes of the cluster": "denied",
        "create clusterrolebindings": "denied",
    }
    assert {what: told.get(what) for what in expected} == expected
    assert {each["subject"] for each in seen} == {found.full("a"), f"consumer {access.name('a')}"}
    own = str(access.world.stack.layout.kubeconfig_of("verify-isolation"))

    async def alike() -> bool:
        """Both look anew each time: other tests open and close things meanwhile."""
        code, out = await verify(access, found.called("a"), "--output", "json", KUBECONFIG=own)
        return (code, json.loads(out)) == (0, await found.look("a"))

    await access.world.eventually(alike, "the function's own rights show it as much")
    said = await found.verified("a", "AsPromised")
    assert said["message"] == "rights, bounds and network are as promised"


async def test_rights_given_by_hand_are_named_on_whose_namespace_it_is(access: Access) -> None:
    found = await tenancy(access)
    home = found.homes["a"]
    await bind(access, "b", "view", home)

    (told,) = await found.wrong("a")
    assert told == f"has ClusterRole view in {home}, by RoleBinding by-hand"
    said = await found.verified("a", "NotIsolated")
    assert f"may list pods in {home}: RBAC: allowed by RoleBinding" in said["message"]
    assert f": `kubectl delete rolebinding by-hand -n {home}`" in said["message"]
    assert conditions(await found.instance("a"))["Ready"]["status"] == "True"  # and it runs on

    await access.world.cluster.delete(ROLE_BINDINGS, "by-hand", home)
    await bind(access, "a", "cluster-admin", home)
    code, out = await verify(access, found.called("a"))
    assert code == 1
    assert f'may get secrets in {home}: RBAC: allowed by RoleBinding "by-hand/{home}"' in out
    await access.world.cluster.delete(ROLE_BINDINGS, "by-hand", home)
    await found.verified("a", "AsPromised")


async def test_a_weaker_pod_security_is_named_with_what_mends_it_and_nobody_else_is_written_to(access: Access) -> None:
    found = await tenancy(access)
    await found.verified("a", "AsPromised")
    before = await found.instance("a")
    home = found.homes["b"]
    access.world.kubectl("label", "namespace", home, f"{ENFORCE}=privileged", "--overwrite")

    told = f"namespace {home}: {ENFORCE} is privileged, not baseline"
    assert await found.wrong("b") == [told]
    assert await found.wrong("a") == []
    said = await found.verified("b", "NotIsolated")
    mends = f"kubectl label namespace {home} {ENFORCE}=baseline --overwrite"
    assert said["message"] == f"{told}: `{mends}`"
    after = await found.instance("a")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    access.world.kubectl(*mends.split()[1:])
    await found.verified("b", "AsPromised")


@asynccontextmanager
async def held_off(access: Access, namespace: str) -> AsyncIterator[None]:
    """Nobody makes a NetworkPolicy there."""
    cluster, name = access.world.cluster, f"test-{access.world.id}"
    rule = {"apiGroups": ["networking.k8s.io"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    spec = {
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["networkpolicies"]}]},
        "matchConditions": [{"name": "here", "expression": f"request.namespace == '{namespace}'"}],
        "validations": [{"expression": "false"}],
    }
    await cluster.create(POLICIES, {"metadata": {"name": name}, "spec": spec})
    bound = {"policyName": name, "validationActions": ["Deny"]}
    await cluster.create(BINDINGS, {"metadata": {"name": name}, "spec": bound})
    probe = {"metadata": {"name": "probe", "namespace": namespace}, "spec": {"podSelector": {}}}

    async def in_force() -> bool:
        try:
            await cluster.create(NETWORK_POLICIES, probe, dry_run=True)
        except ApiError:
            return True
        return False

    try:
        await access.world.eventually(in_force, "no NetworkPolicy is let in")
        yield
    finally:
        await cluster.delete(BINDINGS, name)
        await cluster.delete(POLICIES, name)


async def test_a_network_policy_that_is_gone_is_named_until_it_is_back(access: Access) -> None:
    found = await tenancy(access)
    home = found.homes["a"]
    async with held_off(access, home):
        await access.world.cluster.delete(NETWORK_POLICIES, "chandlery", home)
        wrong = await found.wrong("a")
        assert f"NetworkPolicy {home}/chandlery is missing" in wrong
        assert f"{home} is reached by any other namespace" in " ".join(wrong)
        said = await found.verified("a", "NotIsolated")
        assert said["message"].startswith(f"NetworkPolicy {home}/chandlery is missing: apply_policies brings it back")
        assert await found.wrong("b") == [], "its own policy holds still"
    await access.tick()
    await found.well()
    await found.verified("a", "AsPromised")


async def test_what_others_open_besides_is_named_at_one_end_and_at_both(access: Access) -> None:
    found = await tenancy(access)
    mine, theirs = found.homes["a"], found.homes["b"]
    world = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]
    opened = {"ingress": [{"from": world}], "egress": [{"to": world}], "policyTypes": ["Ingress", "Egress"]}
    for home in (mine, theirs):
        policy = {"metadata": {"name": "open", "namespace": home}, "spec": {"podSelector": {}, **opened}}
        await access.world.cluster.create(NETWORK_POLICIES, policy)
        wrong = await found.wrong("a")
        assert f"{mine} is reached by an address outside" in wrong
        assert (f"{mine} reaches {theirs}" in wrong) is (home == theirs)


async def test_an_edited_role_of_its_own_is_no_grant(access: Access) -> None:
    found = await tenancy(access)
    namespace = access.name("a")
    role = await access.world.cluster.get(ROLES, "chandlery:consumer", namespace)
    assert role
    more = [*role["rules"], {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    edited = [{"op": "add", "path": "/rules", "value": more}]

    async def wrong() -> list[bool]:
        """The resync may have mended it by the time that somebody looks."""
        await access.world.cluster.patch(ROLES, "chandlery:consumer", edited, namespace)
        told = [each for each in await found.look("a") if f"list secrets in {namespace}" in each["what"]]
        return ["the resync mends it" in each["fix"] for each in told if each["verdict"] == "wrong"]

    assert await access.world.eventually(wrong, "an edited role is wrong") == [True]


async def test_whoever_may_not_see_is_told_so(access: Access) -> None:
    found = await tenancy(access)
    await access.provider("p", access.world.kind("Database").group)
    for resource, who in ((CONSUMERS, "a"), (PROVIDERS, "p")):
        path = str(await access.kubeconfig(resource, who))
        for named in ((), (found.called("a"),)):
            code, out = await verify(access, *named, KUBECONFIG=path)
            assert code == 1
            assert "unseen" in out
            assert "nothing was verified" in out
            assert "Traceback" not in out
    code, out = await verify(access, "nowhere/nothing")
    assert (code, out) == (
        1,
        "error: nowhere/nothing: there is no such instance; write NAMESPACE/INSTANCE; one that is not deployed yet is"
        " not looked at\n",
    )
