"""The way back from a version that can't be served, on a real API server."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from functions import publish_api
from knative.local.stack import Stack
from shared import versions
from shared.cluster import Cluster
from shared.errors import Refused, RetryLater
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource
from shared.schema import api_for
from shared.webhook import Webhook
from tests.builders import offering
from tests.shared.archives import chart_with

VALUES: dict[str, object] = {"size": "8Gi"}


async def listed(cluster: Cluster, resource: Resource) -> list[dict[str, Any]]:
    """The API server takes a moment to serve a CRD again that has changed."""
    async with asyncio.timeout(20):
        while True:
            try:
                return (await cluster.list(resource))["items"]
            except RetryLater:
                await asyncio.sleep(0.1)


async def test_a_webhook_that_does_not_answer_changes_nothing(
    stack: Stack, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_api, "ESTABLISH_SECONDS", 3)
    group = f"w{uuid4().hex[:8]}.example.com"
    nowhere = Webhook("https://127.0.0.1:9/nobody", Path(stack.layout.certificates / "ca.crt"))

    def crd(version: str, name: str, existing: Any = None) -> dict[str, Any]:
        api = {"group": group, "kind": "Database", "version": version}
        found = offering(api=api, parameters=[{"path": "size", "name": name}])
        made = api_for(found, chart_with(VALUES))
        whole = versions.together(made.crd, existing, made.places, plans=False)
        return versions.converted_by(whole, nowhere.client_config(found.crd, "e"))

    applied = await publish_api.apply(cluster, crd("v1", "size"))
    assert await publish_api.unestablished(cluster, applied) is None
    body = {"metadata": {"name": "orders", "namespace": "default"}, "spec": {"size": "1Gi"}}
    resource = Resource(group, "v1", "databases", "Database")
    await cluster.apply(resource, body, "test")
    name = f"databases.{group}"
    existing = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
    assert existing

    with pytest.raises(Refused, match=r"instances can't be read as v2: .*webhook") as refusal:
        await publish_api.prove(cluster, existing, crd("v2", "disk", existing))

    assert refusal.value.reason == "ConversionFailed"
    after = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
    assert after
    assert (after["spec"], after["metadata"]["annotations"]) == (existing["spec"], existing["metadata"]["annotations"])
    assert [each["spec"] for each in await listed(cluster, resource)] == [{"size": "1Gi"}]
    await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, name)
