"""Who may do what, tried with the kubeconfigs that were issued: two consumers, two providers."""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from events.ticks import Ticked
from knative.local.layout import REPOSITORY
from shared import kubeconfigs
from shared.access import CONSUMER
from shared.cluster import Cluster
from shared.errors import ApiError
from shared.resources import (
    CLUSTER_ROLE_BINDINGS,
    CONSUMERS,
    NAMESPACES,
    OFFERINGS,
    PROVIDERS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SYSTEM_NAMESPACE,
    Resource,
)
from tests.e2e.test_faults import post
from tests.e2e.world import World, conditions, is_ready

Object = dict[str, Any]

KUBECONFIG = "kubeconfig"


class Access:
    """Consumers and Providers of one test, and what they hold."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.opened: list[Cluster] = []

    def name(self, short: str) -> str:
        return f"{short}-{self.world.id}"

    async def consumer(self, short: str, *offerings: str, **spec: Any) -> Object:
        return await self.grantee(CONSUMERS, short, offerings=[*offerings], **spec)

    async def provider(self, short: str, *groups: str, **spec: Any) -> Object:
        return await self.grantee(PROVIDERS, short, apiGroups=[*groups], **spec)

    async def grantee(self, resource: Resource, short: str, **spec: Any) -> Object:
        await self.world.cluster.apply(resource, {"metadata": {"name": self.name(short)}, "spec": spec}, "admin")
        return await self.settled(resource, short, is_ready)

    async def settled(self, resource: Resource, short: str, holds: Any) -> Object:
        async def found() -> Object | None:
            there = await self.world.cluster.get(resource, self.name(short))
            return there if there and holds(there) else None

        what = f"{resource.kind} {short}"
        return await self.world.eventually(found, what, lambda: self.world.cluster.get(resource, self.name(short)))

    async def kubeconfig(self, resource: Resource, short: str) -> Path:
        """Written out as a person would."""
        name = f"{resource.kind.lower()}-{self.name(short)}-kubeconfig"
        secret = await self.world.cluster.get(SECRETS, name, SYSTEM_NAMESPACE)
        assert secret
        path = self.folder / f"{name}-{secret['metadata']['resourceVersion']}"
        path.write_bytes(base64.b64decode(secret["data"][KUBECONFIG]))
        return path

    async def as_(self, resource: Resource, short: str) -> Cluster:
        found = await Cluster.open(str(await self.kubeconfig(resource, short)))
        self.opened.append(found)
        return found

    async def kubectl(self, resource: Resource, short: str, *arguments: str, given: str | None = None) -> str:
        path = await self.kubeconfig(resource, short)
        command = [str(self.world.stack.layout.bin / "kubectl"), *arguments]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, "KUBECONFIG": str(path), "HOME": str(self.folder)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    async def can(self, resource: Resource, short: str, what: str, namespace: str) -> str:
        """What `kubectl auth can-i` answers."""
        said = await self.kubectl(resource, short, "auth", "can-i", *what.split(), "--namespace", namespace)
        return said.splitlines()[-1].split()[0]

    async def tick(self, count: int = 0, seconds: float = 0.1) -> None:
        """A resync, as if a long time had passed since the last."""
        await post(self.world, Ticked(seconds=seconds), self.world.id, datetime.now(UTC), count)

    async def close(self) -> None:
        for each in self.opened:
            await each.close()
        for resource in (CONSUMERS, PROVIDERS):
            for body in (await self.world.cluster.list(resource))["items"]:
                name = body["metadata"]["name"]
                if name.endswith(self.world.id):
                    await self.world.cluster.delete(resource, name)
        homes = await self.world.cluster.list(NAMESPACES, labels={CONSUMER: ""})
        for home in homes["items"]:
            if home["metadata"]["name"].endswith(self.world.id):
                await self.world.cluster.delete(NAMESPACES, home["metadata"]["name"])


@pytest.fixture
async def access(world: World, tmp_path: Path) -> AsyncIterator[Access]:
    found = Access(world, tmp_path)
    yield found
    await found.close()


async def refused(call: Any) -> None:
    with pytest.raises(ApiError) as error:
        await call
    assert error.value.status == 403, error.value.message


def order(name: str, namespace: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


async def test_a_consumer_reaches_what_it_ordered_and_nothing_else(access: Access) -> None:
    world = access.world
    database = await world.offered("Database", "hello")
    await world.offered("Cache", "hello")
    a, b = await access.consumer("a", database), await access.consumer("b", world.offering_name("Cache"))
    assert a["status"]["namespaces"] == [access.name("a")]
    ours, theirs = access.name("a"), access.name("b")
    alice, bob = await access.as_(CONSUMERS, "a"), await access.as_(CONSUMERS, "b")
    databases, caches = world.kind("Database"), world.kind("Cache")

    await alice.create(databases, order("one", ours))
    await bob.create(caches, order("one", theirs))

    async def ready() -> Object | None:
        found = await alice.get(databases, "one", ours)
        return found if is_ready(found) else None

    found = await world.eventually(ready, "alice's database is ready", lambda: alice.get(databases, "one", ours))
    release = found["status"]["release"]["namespace"]
    assert (await alice.list(databases, ours))["items"]
    await alice.list(Resource("", "v1", "events", "Event"), ours)
    await alice.list(Resource("", "v1", "resourcequotas", "ResourceQuota"), ours)
    mine = {"metadata": {"name": "one", "namespace": ours}}

    for call in (
        alice.list(databases),
        alice.get(caches, "one", theirs),
        alice.create(caches, order("two", ours)),
        alice.create(databases, order("two", theirs)),
        alice.list(Resource("", "v1", "pods", "Pod"), release),
        alice.list(SECRETS, release),
        alice.list(SECRETS, ours),
        alice.list(SECRETS, SYSTEM_NAMESPACE),
        alice.get(SECRETS, a["status"]["kubeconfig"]["secretName"], SYSTEM_NAMESPACE),
        alice.get(SECRETS, b["status"]["kubeconfig"]["secretName"], SYSTEM_NAMESPACE),
        alice.create(ROLES, {"metadata": {"name": "mine", "namespace": ours}, "rules": []}),
        alice.get(ROLE_BINDINGS, "chandlery:consumer", ours),
        alice.apply_status(databases, mine | {"status": {"notes": "forged"}}, "alice"),
        alice.list(OFFERINGS),
        alice.get(OFFERINGS, database),
        alice.get(CONSUMERS, access.name("a")),
        alice.list(NAMESPACES),
        alice.list(Resource("", "v1", "nodes", "Node", namespaced=False)),
        alice.list(databases, ours, impersonate="admin"),
    ):
        await refused(call)

    await alice.delete(databases, "one", ours)

    listed = await access.kubectl(CONSUMERS, "a", "auth", "can-i", "--list", "--no-headers")
    rows = {line.split()[0] for line in listed.splitlines() if line and not line.startswith(("[", " ", "W"))}
    everybody = {"selfsubjectreviews.authentication.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io"}
    everybody |= {"selfsubjectrulesreviews.authorization.k8s.io"}
    granted = {f"{databases.plural}.{databases.group}", f"{databases.plural}.{databases.group}/status"}
    assert rows == everybody | granted | {"events", "events.events.k8s.io", "resourcequotas"}
    assert "forbidden" in (await access.kubectl(CONSUMERS, "a", "get", "pods", "-n", release)).lower()


def offering(name: str, group: str, **chart: Any) -> Object:
    source = {"url": "file:///examples/charts/hello"} | chart
    return {"metadata": {"name": name}, "spec": {"chart": source, "api": {"group": group, "kind": "Gadget"}}}


async def says(call: Any) -> str:
    with pytest.raises(ApiError) as error:
        await call
    return error.value.message


async def test_a_provider_manages_the_offerings_of_its_groups_and_sees_what_came_of_them(access: Access) -> None:
    world = access.world
    group, other = f"t{world.id}.example.com", f"u{world.id}.example.com"
    mine, theirs = f"gadget-{world.id}", f"gadget-{world.id}-b"
    promised = f"later-{world.id}"
    await access.provider("a", group, offerings=[mine, promised])
    await access.provider("b", other)
    acme, rival = await access.as_(PROVIDERS, "a"), await access.as_(PROVIDERS, "b")
    gadgets = Resource(group, "v1alpha1", "gadgets", "Gadget")

    await rival.create(OFFERINGS, offering(theirs, other))
    applied = await access.kubectl(PROVIDERS, "a", "apply", "--filename=-", given=kubectl_yaml(offering(mine, group)))
    assert "created" in applied

    async def published() -> bool:
        return is_ready(await acme.get(OFFERINGS, mine))

    await world.eventually(published, "the offering is ready, and its provider sees it")
    await world.eventually(lambda: allowed(rival.get(OFFERINGS, theirs)), "the rival sees its own, too")

    await refused(acme.list(OFFERINGS))
    await refused(acme.get(OFFERINGS, theirs))
    await refused(acme.delete(OFFERINGS, theirs))
    await refused(acme.apply(OFFERINGS, offering(theirs, other), "acme"))
    await refused(acme.apply_status(OFFERINGS, {"metadata": {"name": mine}, "status": {}}, "acme"))
    assert f"{other} is not a group you may offer under" in await says(
        acme.create(OFFERINGS, offering(f"stolen-{world.id}", other))
    )
    assert "spec.api.group can't be changed" in await says(acme.apply(OFFERINGS, offering(mine, other), "acme"))
    hidden = offering(f"spy-{world.id}", group, auth={"secretRef": {"name": "someones"}})
    assert "you may not read one of the Secrets it names (someones)" in await says(acme.create(OFFERINGS, hidden))

    await world.order("Gadget", "one")
    ready = await world.ready("Gadget", "one")
    release = ready["status"]["release"]["namespace"]
    pods = Resource("", "v1", "pods", "Pod")
    await world.eventually(lambda: allowed(acme.list(pods, release)), "the provider sees the release")
    assert (await acme.list(gadgets))["items"]
    assert await access.can(PROVIDERS, "a", "get pods --subresource=log", release) == "yes"
    assert await access.can(PROVIDERS, "b", "get pods --subresource=log", release) == "no"
    for call in (
        rival.list(gadgets),
        rival.list(pods, release),
        acme.list(SECRETS, release),
        acme.list(SECRETS, SYSTEM_NAMESPACE),
        acme.list(pods, SYSTEM_NAMESPACE),
        acme.delete(gadgets, "one", world.namespace),
        acme.create(gadgets, order("two", world.namespace)),
        acme.list(NAMESPACES),
        acme.get(PROVIDERS, access.name("a")),
        acme.create(ROLES, {"metadata": {"name": "mine", "namespace": release}, "rules": []}),
    ):
        await refused(call)

    # A name that was promised, and taken by another: not to be read.
    await rival.create(OFFERINGS, offering(promised, other))

    async def hidden_now() -> bool:
        return not await allowed(acme.get(OFFERINGS, promised))

    await world.eventually(hidden_now, "the promise fell")
    for name in (theirs, promised):
        await world.cluster.delete(OFFERINGS, name)


def kubectl_yaml(body: Object) -> str:
    return json.dumps({"apiVersion": OFFERINGS.api_version, "kind": OFFERINGS.kind, **body})


async def allowed(call: Any) -> bool:
    """Whether the API server lets it pass; anything but a refusal is an error."""
    try:
        await call
    except ApiError as error:
        if error.status in (401, 403):
            return False
        raise
    return True


async def test_a_consumer_that_is_deleted_is_refused_at_once_and_its_instances_stay(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)
    alice, databases, home = await access.as_(CONSUMERS, "a"), world.kind("Database"), access.name("a")
    await alice.create(databases, order("one", home))

    await world.cluster.delete(CONSUMERS, access.name("a"))

    async def gone() -> bool:
        return await world.cluster.get(CONSUMERS, access.name("a")) is None

    await world.eventually(gone, "the consumer is gone")
    assert not await allowed(alice.list(databases, home))
    assert await world.cluster.get(databases, "one", home)
    assert await world.cluster.get(SECRETS, f"consumer-{access.name('a')}-kubeconfig", SYSTEM_NAMESPACE) is None

    await access.consumer("a", name)
    again = await access.as_(CONSUMERS, "a")
    assert await again.get(databases, "one", home)  # its namespace bears its name still
    await world.cluster.delete(databases, "one", home)


async def test_a_token_dies_with_its_secret_and_the_next_resync_issues_another(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)
    alice, databases, home = await access.as_(CONSUMERS, "a"), world.kind("Database"), access.name("a")
    assert await allowed(alice.list(databases, home))
    await world.cluster.delete(SECRETS, f"consumer-{home}-kubeconfig", SYSTEM_NAMESPACE)

    async def dead() -> bool:
        return not await allowed(alice.list(databases, home))

    await world.eventually(dead, "the token is refused", limit=20)

    async def another() -> bool:
        await access.tick()
        return await world.cluster.get(SECRETS, f"consumer-{home}-kubeconfig", SYSTEM_NAMESPACE) is not None

    await world.eventually(another, "there is a new Secret")
    await access.settled(CONSUMERS, "a", is_ready)

    async def filled() -> bool:
        secret = await world.cluster.get(SECRETS, f"consumer-{home}-kubeconfig", SYSTEM_NAMESPACE)
        return bool((secret or {}).get("data"))

    await world.eventually(filled, "it holds a kubeconfig")
    assert await allowed((await access.as_(CONSUMERS, "a")).list(databases, home))
    assert not await allowed(alice.list(databases, home))


async def test_a_kubeconfig_is_renewed_in_time_and_whoever_reads_it_again_never_fails(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name, kubeconfig={"lifetime": "10m"})
    home, databases = access.name("a"), world.kind("Database")
    secret = f"consumer-{home}-kubeconfig"
    first = await access.as_(CONSUMERS, "a")
    seen: set[str] = set()

    async def aged() -> None:
        """As if seven of its ten minutes were over."""
        there = await world.cluster.get(SECRETS, secret, SYSTEM_NAMESPACE)
        assert there
        term = kubeconfigs.term_of(there)
        assert term
        assert timedelta(minutes=9) < term.expires - term.issued <= timedelta(minutes=11)
        over = timedelta(minutes=7)
        ages = {kubeconfigs.ISSUED: term.issued - over, kubeconfigs.EXPIRES: term.expires - over}
        body = {"metadata": {"name": secret, "annotations": {key: kubeconfigs.told(at) for key, at in ages.items()}}}
        body["metadata"]["namespace"] = SYSTEM_NAMESPACE
        await world.cluster.apply(SECRETS, body, "grant_access-test")

    for _ in range(2):
        before = (await world.cluster.get(SECRETS, secret, SYSTEM_NAMESPACE) or {})["data"][KUBECONFIG]
        await aged()

        async def renewed(before: str = before) -> bool:
            await access.tick()
            client = await access.as_(CONSUMERS, "a")
            assert await allowed(client.list(databases, home)), "a client that reads it again never fails"
            there = await world.cluster.get(SECRETS, secret, SYSTEM_NAMESPACE)
            return bool(there and there["data"][KUBECONFIG] != before)

        await world.eventually(renewed, "the token is renewed")
        seen.add(before)
    assert len(seen) == 2
    assert await allowed(first.list(databases, home)), "the old token is good until it ends"


async def test_what_was_edited_by_hand_comes_back(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)
    home = access.name("a")
    more = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    before = (await world.cluster.get(ROLES, "chandlery:consumer", home) or {})["rules"]
    await world.cluster.patch(ROLES, "chandlery:consumer", [{"op": "add", "path": "/rules", "value": more}], home)
    await world.cluster.delete(ROLE_BINDINGS, "chandlery:consumer", home)

    async def back() -> bool:
        await access.tick()
        role = await world.cluster.get(ROLES, "chandlery:consumer", home)
        bound = await world.cluster.get(ROLE_BINDINGS, "chandlery:consumer", home)
        return bool(role and bound and role["rules"] == before)

    await world.eventually(back, "role and binding are as they were")


async def test_namespaces_of_others_are_refused_with_the_field(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)

    def refused_for(what: str) -> Any:
        def holds(found: Object) -> bool:
            ready = conditions(found).get("Ready", {})
            return ready.get("reason") == "NamespaceTaken" and what in ready.get("message", "")

        return holds

    spec = {"namespaces": [access.name("b"), access.name("a"), world.namespace], "offerings": [name]}
    await world.cluster.apply(CONSUMERS, {"metadata": {"name": access.name("b")}, "spec": spec}, "admin")
    found = await access.settled(CONSUMERS, "b", refused_for(f"spec.namespaces[1]: {access.name('a')} is consumer"))
    assert found["status"]["namespaces"] == [access.name("b")]
    bob, databases = await access.as_(CONSUMERS, "b"), world.kind("Database")
    await bob.list(databases, access.name("b"))
    for namespace in (access.name("a"), world.namespace):
        await refused(bob.list(databases, namespace))

    spec["namespaces"] = [world.namespace]
    await world.cluster.apply(CONSUMERS, {"metadata": {"name": access.name("b")}, "spec": spec}, "admin")
    await access.settled(CONSUMERS, "b", refused_for(f"kubectl label namespace {world.namespace}"))
    await refused(bob.list(databases, access.name("b")))  # it was taken from the list
    adopted = {"metadata": {"name": world.namespace, "labels": {CONSUMER: access.name("b")}}}
    await world.cluster.apply(NAMESPACES, adopted, "admin")

    async def granted() -> bool:
        await access.tick()
        return await allowed(bob.list(databases, world.namespace))

    await world.eventually(granted, "an administrator said that it is theirs")


async def test_an_offering_opens_and_hands_out_what_it_says_and_no_more(access: Access) -> None:
    world = access.world
    login = "$(release.name)-postgres"
    opened = {"logs": True, "portForward": True, "secrets": [login]}
    exports = [{"secret": login, "keys": ["password"], "as": "login"}]
    name = await world.offered("Database", "postgres", consumerAccess=opened, exports=exports)
    await access.consumer("a", name)
    await access.consumer("b", name)
    home, databases = access.name("a"), world.kind("Database")
    alice, bob = await access.as_(CONSUMERS, "a"), await access.as_(CONSUMERS, "b")
    await alice.create(databases, order("one", home))

    async def copied() -> Object | None:
        return await alice.get(SECRETS, "one-login", home)

    copy = await world.eventually(copied, "the password is beside the instance")
    ready = await world.eventually(lambda: shared(alice, databases, home), "and said to be there")
    release = ready["status"]["release"]["namespace"]
    assert ready["status"]["exports"] == ["one-login"]

    async def opened_up() -> Object | None:
        try:
            return await alice.get(SECRETS, "one-postgres", release)
        except ApiError:
            return None  # another function opens what this one copies: neither waits for the other

    source = await world.eventually(opened_up, "the release is opened")
    assert copy["data"] == {"password": source["data"]["password"]}
    assert [each["uid"] for each in copy["metadata"]["ownerReferences"]] == [ready["metadata"]["uid"]]

    for what, answer in {
        "get pods --subresource=log": "yes",
        "create pods --subresource=portforward": "yes",
        "get secrets/one-postgres": "yes",
        "get secrets/other": "no",
        "create pods --subresource=exec": "no",
        "delete pods": "no",
        "list secrets": "no",
    }.items():
        assert (what, await access.can(CONSUMERS, "a", what, release)) == (what, answer)
        assert (what, await access.can(CONSUMERS, "b", what, release)) == (what, "no")
    await refused(bob.get(SECRETS, "one-login", home))

    # The source changes, the copy is edited: it is kept in step.
    changed = base64.b64encode(b"changed").decode()
    rotate = [{"op": "add", "path": "/data/password", "value": changed}]
    await world.cluster.patch(SECRETS, "one-postgres", rotate, release)
    forge = [{"op": "add", "path": "/data/more", "value": "eA=="}]
    await alice.patch(SECRETS, "one-login", forge, home)

    async def in_step() -> bool:
        await access.tick()
        return ((await copied()) or {}).get("data") == {"password": changed}

    await world.eventually(in_step, "the copy is what its source is")

    await alice.delete(databases, "one", home)

    async def gone() -> bool:
        return await copied() is None

    await world.eventually(gone, "the copy goes with its instance")


async def shared(cluster: Cluster, resource: Resource, namespace: str) -> Object | None:
    found = await cluster.get(resource, "one", namespace)
    return found if conditions(found).get("Shared", {}).get("status") == "True" else None


async def test_a_copy_never_takes_the_place_of_another_secret(access: Access) -> None:
    world = access.world
    await world.offered("Database", "postgres", exports=[{"secret": "$(release.name)-postgres", "as": "login"}])
    own = {"metadata": {"name": "one-login", "namespace": world.namespace}, "data": {"mine": "eA=="}}
    await world.cluster.create(SECRETS, own)
    await world.order("Database", "one")
    said = await world.says("Database", "one", "Shared", "NameTaken")
    assert f"spec.exports[0].as: {world.namespace} has another Secret one-login" in said["message"]
    there = await world.cluster.get(SECRETS, "one-login", world.namespace)
    assert there
    assert there["data"] == own["data"]


async def test_rights_from_a_file_are_given_shown_and_taken_away(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)
    alice, home = await access.as_(CONSUMERS, "a"), access.name("a")
    pods = Resource("", "v1", "pods", "Pod")
    rules = access.folder / "rules.yaml"
    rules.write_text("rules:\n- {apiGroups: [''], resources: [pods], verbs: [list]}\n")
    urls = access.folder / "urls.json"
    urls.write_text(json.dumps([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]))

    assert "granted as number 1" in await chandlery(world, "grant", home, "-f", rules, "-n", home)
    assert "granted as number 2" in await chandlery(world, "grant", f"consumer/{home}", "-f", urls)
    await world.eventually(lambda: allowed(alice.list(pods, home)), "it may list pods")
    await refused(alice.list(pods))
    assert (await alice.text("/metrics")).startswith("#")
    shown = await chandlery(world, "grants", home)
    rows = [line.split() for line in shown.splitlines()]
    assert ["1", home, "list", '""', "pods"] in rows
    assert ["2", "everywhere", "get", "/metrics"] in rows

    # Nobody hands on what he doesn't hold.
    path = str(await access.kubeconfig(CONSUMERS, "a"))
    assert "forbidden" in await chandlery(world, "grant", home, "-f", rules, KUBECONFIG=path)

    assert "revoked" in await chandlery(world, "revoke", home, "1")

    async def closed() -> bool:
        return not await allowed(alice.list(pods, home))

    await world.eventually(closed, "it may not any more")
    assert (await alice.text("/metrics")).startswith("#")
    await world.cluster.delete(CONSUMERS, home)

    async def gone() -> bool:
        return not (await world.cluster.list(CLUSTER_ROLE_BINDINGS, labels={CONSUMER: home}))["items"]

    await world.eventually(gone, "what was given besides goes with it")


async def chandlery(world: World, *arguments: str | Path, **more: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(world.stack.layout.kubeconfig), "TERM": "dumb", "COLUMNS": "200"}
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=REPOSITORY,
        env={**environment, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


async def test_tokens_are_for_consumers_and_providers_only(access: Access) -> None:
    """Not for our own service accounts, whose rights are more: whatever becomes of grant_access."""
    world = access.world
    ours = await Cluster.open(str(world.stack.layout.kubeconfig_of("grant-access")))
    access.opened.append(ours)
    bound = {"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "x"}, "expirationSeconds": 600}
    assert "for consumers and providers only" in await says(ours.token("publish-api", SYSTEM_NAMESPACE, bound))
    name = await world.offered("Database", "hello")
    await access.consumer("a", name)
    account = f"consumer-{access.name('a')}"
    assert "bound to the Secret" in await says(ours.token(account, SYSTEM_NAMESPACE, {"expirationSeconds": 600}))
    other = {"metadata": {"name": "login", "namespace": SYSTEM_NAMESPACE}}
    assert "only kubeconfigs" in await says(ours.create(SECRETS, other))
