"""What an overlay is, and in which order it goes in and out."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import bundle, installation
from cli.applying import unready
from cli.bundle import Id
from cli.installation import Installation
from shared.errors import Refused

Object = dict[str, Any]


def body(kind: str, name: str = "x", api_version: str = "v1", **more: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **more}


KINDS = st.lists(st.sampled_from([*bundle.ORDER, "PingSource", "SinkBinding"]))


@given(KINDS)
def test_nothing_comes_before_what_it_needs(kinds: list[str]) -> None:
    stages = [[each["kind"] for each in stage] for stage in bundle.stages(map(body, kinds))]
    assert [len({*stage}) == 1 or not {*stage} & {*bundle.ORDER} for stage in stages] == [True] * len(stages)
    assert sorted(kind for stage in stages for kind in stage) == sorted(kinds)
    known = [bundle.ORDER.index(stage[0]) for stage in stages if stage[0] in bundle.ORDER]
    assert known == sorted(known)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is no YAML"),
        ("", "there is nothing in it"),
        ("- 1", "no object with a kind and a name"),
        ("{apiVersion: v1, kind: List}", "no object with a kind and a name"),
        ("{apiVersion: 1, kind: X, metadata: {name: x}}", "no object with a kind and a name"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(text)
    with pytest.raises(Refused, match=says):
        bundle.load(str(path))


def test_what_is_no_overlay_is_refused_with_those_there_are() -> None:
    for said in ("nothing", "../overlays/nothing"):
        with pytest.raises(Refused, match=r"there are the overlays: .*local"):
            bundle.load(said)


def test_only_our_own_image_is_replaced() -> None:
    containers = [{"name": "main", "image": "chandlery:0.1.0"}, {"name": "nats", "image": "nats:2.14"}]
    ours = body("Deployment", spec={"template": {"spec": {"containers": containers}}})
    ours["metadata"]["labels"] = {"app.kubernetes.io/part-of": "chandlery"}
    (changed,) = bundle.image([ours], "registry.example.com/chandlery@sha256:1")
    images = [each["image"] for each in changed["spec"]["template"]["spec"]["containers"]]
    assert images == ["registry.example.com/chandlery@sha256:1", "nats:2.14"]
    others = body("Deployment", spec=ours["spec"])
    assert bundle.image([others], "x") == [others]


def test_an_upgrade_takes_away_what_is_no_more_but_no_data() -> None:
    trigger, claim, kept = (
        Id("a", "Trigger", "n", "old"),
        Id("", "PersistentVolumeClaim", "n", "data"),
        Id("", "Service", "n", "s"),
    )
    before = Installation("local", "0.0.1", frozenset({trigger, claim, kept}), complete=True)
    assert installation.obsolete(before, [kept]) == [trigger]
    assert installation.obsolete(None, [kept]) == []


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (body("ConfigMap"), ""),
        (body("Broker", status={"conditions": [{"type": "Ready", "status": "True"}]}), ""),
        (body("Broker", status={"conditions": [{"type": "Ready", "status": "False", "message": "no"}]}), "no"),
        (body("Broker"), "is not Ready yet"),
        (body("CustomResourceDefinition", status={"conditions": [{"type": "Established", "status": "True"}]}), ""),
        (body("Service"), ""),
        (body("Service", api_version="serving.knative.dev/v1"), "is not Ready yet"),
        (body("Deployment", api_version="apps/v1"), "deployment x: its controller has not seen it yet"),
    ],
)
def test_it_is_known_what_to_wait_for(found: Object, why: str) -> None:
    assert unready(found) == why


def test_an_older_generation_is_not_ready() -> None:
    broker = body("Broker", status={"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]})
    broker["metadata"]["generation"] = 2
    assert unready(broker) == "is not Ready yet"
