"""What `helm test` asks: real functions, by their names in the cluster."""

import pytest

from knative import answers
from knative.local.stack import Stack
from knative.manifests import functions
from knative.pods import kebab


async def test_every_function_answers_and_who_does_not_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    router = f"http://{stack.layout.address('router')}"
    monkeypatch.setenv("http_proxy", router)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    names = [kebab(each) for each in functions()]
    found = await answers.silent([*names, "nobody"], 3)
    assert set(found) == {"nobody"}
