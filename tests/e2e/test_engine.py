"""Helm in processes that are kept, on a real API server, each release under an account of its own."""

import asyncio
import os
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from knative.local.stack import Stack
from shared import engine
from shared.cluster import Cluster
from shared.engine import EngineFailed, Engines, Review
from shared.errors import Refused, RetryLater
from shared.helm import DIE_WITH_US, ENGINE, acting_as, environment, failure
from shared.rerendered import pieces
from shared.resources import CONFIG_MAPS, NAMESPACES, ROLE_BINDINGS, SECRETS
from tests.archives import CHART, archive, chart

MADE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n"
HOOK = """apiVersion: v1
kind: ConfigMap
metadata: {name: setup, annotations: {helm.sh/hook: pre-install}}
"""
ENDLESS = "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"


async def as_it_is(text: str) -> str:
    return text


@dataclass
class Site:
    cluster: Cluster
    engines: Engines
    folder: Path
    made: list[str] = field(default_factory=list)

    async def home(self, *, trusted: bool = True) -> str:
        """A namespace; the account that acts there may do so if it is `trusted`."""
        name = f"engine-{uuid4().hex[:8]}"
        self.made.append(name)
        await self.cluster.create(NAMESPACES, {"metadata": {"name": name}})
        if trusted:
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"}
            user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": acting_as(name)}
            binding = {"metadata": {"name": "helm", "namespace": name}, "roleRef": role, "subjects": [user]}
            await self.cluster.create(ROLE_BINDINGS, binding)
        return name

    async def install(
        self, home: str, content: bytes, review: Review = as_it_is, *, verb: str = "install", **more: Any
    ) -> dict[str, Any]:
        file = self.folder / f"{uuid4().hex}.tgz"
        await asyncio.to_thread(file.write_bytes, content)
        asked = {"verb": verb, "chart": str(file), "release": "it", "namespace": home, "as": acting_as(home)}
        async with self.engines.one() as found:
            return await found.ask({**asked, "labels": {}, "timeout": "30s", "values": {}, **more}, review)

    async def pid(self) -> int:
        """Of the engine that would be the next to work."""
        async with self.engines.one() as found:
            return found.pid

    async def revisions(self, home: str) -> list[str]:
        found = (await self.cluster.list(SECRETS, home, labels={"owner": "helm"}))["items"]
        return sorted(each["metadata"]["labels"]["version"] for each in found)


@pytest.fixture
async def site(cluster: Cluster, stack: Stack, tmp_path: Path) -> AsyncIterator[Site]:
    path = f"{stack.layout.bin}{os.pathsep}{os.environ['PATH']}"
    settings = environment(tmp_path) | ENGINE | {"KUBECONFIG": str(stack.layout.kubeconfig), "PATH": path}
    found = Site(cluster, Engines((*DIE_WITH_US, engine.PROGRAM), settings), tmp_path)
    yield found
    await found.engines.close()
    for name in found.made:
        await cluster.delete(NAMESPACES, name)


async def test_objects_and_hooks_are_seen_and_may_be_changed(site: Site) -> None:
    seen: list[str] = []

    async def review(text: str) -> str:
        seen.extend(each.manifest.shown for each in pieces(text) if each.manifest)
        return text.replace("made", "changed")

    home = await site.home()
    done = await site.install(home, chart("", config=MADE, hook=HOOK), review)
    assert seen == ["ConfigMap/made", "ConfigMap/setup"]
    assert (done["version"], "metadata: {name: changed}" in done["manifest"]) == (1, True)
    names = {each["metadata"]["name"] for each in (await site.cluster.list(CONFIG_MAPS, home))["items"]}
    assert names - {"kube-root-ca.crt"} == {"changed", "setup"}


@pytest.mark.parametrize("error", [Refused("No", "because"), RetryLater("not now"), KeyError("a bug")], ids=repr)
async def test_what_the_review_raises_leaves_nothing_and_spoils_no_engine(site: Site, error: Exception) -> None:
    async def review(_: str) -> str:
        raise error

    home, before = await site.home(), await site.pid()
    with pytest.raises(type(error)) as raised:
        await site.install(home, chart(), review)
    assert raised.value is error
    assert (await site.revisions(home), await site.pid()) == ([], before)


async def test_a_chart_that_renders_nothing_is_fine(site: Site) -> None:
    nothing = archive({"Chart.yaml": CHART, "templates/none.yaml": ""})
    assert (await site.install(await site.home(), nothing))["manifest"].strip() == ""


async def test_large_charts_go_through_and_what_is_too_large_does_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = f"{MADE}data: {{a: '{{{{ repeat 900000 `x` }}}}'}}\n"
    await site.install(await site.home(), chart("", config=config))
    monkeypatch.setattr(engine, "LIMIT", 500_000)
    with pytest.raises(Refused) as raised:
        await site.install(await site.home(), chart("", config=config))
    assert raised.value.reason == "TooLarge"


async def test_releases_have_the_same_engine_and_not_the_same_account(site: Site) -> None:
    first, second, stranger = await site.home(), await site.home(), await site.home(trusted=False)
    await site.install(first, chart("", config=MADE))
    before = await site.pid()
    with pytest.raises(EngineFailed) as raised:
        await site.install(stranger, chart("", config=MADE))
    assert getattr(failure("install", str(raised.value)), "reason", "") == "Forbidden"
    assert acting_as(stranger) in str(raised.value)
    with pytest.raises(EngineFailed, match="forbidden"):
        await site.install(second, chart("", config=MADE), as_it_is, **{"as": acting_as(first)})
    await site.install(second, chart("", config=MADE))
    assert await site.pid() == before


async def test_revisions_are_kept_up_to_a_number(site: Site) -> None:
    home = await site.home()
    await site.install(home, chart("", config=MADE), labels={"of": "mine"})
    for _ in range(3):
        await site.install(home, chart("", config=MADE), verb="upgrade", historyMax=2)
    assert await site.revisions(home) == ["3", "4"]
    found = (await site.cluster.list(SECRETS, home, labels={"owner": "helm", "of": "mine"}))["items"]
    assert len(found) == 2


async def test_templates_without_end_are_killed_with_their_engine(site: Site) -> None:
    home, before = await site.home(), await site.pid()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await site.install(home, chart("", config=ENDLESS))
    assert await site.pid() != before
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    await site.install(home, chart("", config=MADE))


async def test_an_engine_that_dies_takes_nothing_with_it(site: Site) -> None:
    home, before = await site.home(), await site.pid()

    async def review(text: str) -> str:
        os.kill(before, 9)
        return text

    with pytest.raises(EngineFailed):
        await site.install(home, chart("", config=MADE), review)
    assert await site.revisions(home) == []
    await site.install(home, chart("", config=MADE))


async def test_what_was_said_of_one_release_is_not_told_to_the_next(site: Site) -> None:
    """Helm says on standard error which value it could not merge."""
    values = {"key": "SECRET-OF-A"}
    await site.install(await site.home(), chart("key: {of: maps}\n", config=MADE), values=values)
    before = await site.pid()

    async def review(text: str) -> str:
        os.kill(before, 9)
        return text

    with pytest.raises(EngineFailed) as raised:
        await site.install(await site.home(), chart("", config=MADE), review)
    assert str(raised.value).startswith("Helm ended in the midst of it")
    assert "SECRET-OF-A" not in str(raised.value)


@pytest.mark.parametrize("text", ["\U0001f600", "\x7f\x85\u2028", "a: b # c", "1e3"], ids=ascii)
async def test_any_text_arrives_as_it_was_given(site: Site, text: str) -> None:
    home = await site.home()
    config = MADE + "binaryData: {it: {{ .Values.it | b64enc }}}\n"
    await site.install(home, chart("", config=config), values={"it": text})
    (found,) = [
        each for each in (await site.cluster.list(CONFIG_MAPS, home))["items"] if each["metadata"]["name"] == "made"
    ]
    assert b64decode(found["binaryData"]["it"]).decode() == text


async def test_an_engine_is_not_kept_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "USES", 2)
    home, before = await site.home(), await site.pid()
    await site.install(home, chart("", config=MADE))
    assert await site.pid() == before
    await site.install(home, chart("", config=MADE), verb="upgrade")
    assert await site.pid() != before


async def test_an_engine_that_nobody_needs_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0.2)
    before = await site.pid()
    async with asyncio.timeout(10):
        while Path(f"/proc/{before}").exists():  # noqa: ASYNC110, ASYNC240 -- there is nothing else to wait for
            await asyncio.sleep(0.05)
    await site.install(await site.home(), chart("", config=MADE))
