"""What is decided for a real node without one: its names, its images, its volumes, and what it is told."""

import io
import json
import re
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from knative.local import processes
from knative.local.layout import Layout
from knative.local.node import configuration, images, machine, volumes
from knative.local.node.place import NAME, STORAGE_CLASS, Place, layout_of
from knative.local.node.processes import table
from knative.local.tools import KUBERNETES, MODULES, NODE_MODULES, Tools

Object = dict[str, Any]

STACK = Layout(Path("/home/a/.local"), 20000)


def place(number: int = 7) -> Place:
    return Place(layout_of(STACK), STACK, number)


def claim(**status: str) -> Object:
    return {
        "metadata": {"name": "data", "namespace": "a", "uid": "1", "annotations": {volumes.SELECTED: NAME}},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "64Mi"}},
        },
        "status": {"phase": "Pending"} | status,
    }


def volume(phase: str) -> Object:
    return volumes.volume(claim(), Path("/v")) | {"status": {"phase": phase}}


def test_two_nodes_share_neither_name_nor_address() -> None:
    names = [{each.name, each.gateway, each.address, each.pods} for each in map(place, (1, 2))]
    assert not names[0] & names[1]


def test_the_name_of_a_link_fits_the_kernel() -> None:
    assert max(len(place(number).name) for number in machine.NUMBERS) <= 15


def test_a_claim_is_exclusive_and_found_by_its_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CLAIMS", tmp_path / "nodes")
    stacks = [Layout(tmp_path / name, 20000) for name in ("a", "b")]
    assert [machine.claim(stack).number for stack in stacks] == [1, 2]
    assert [machine.claimed(stack) for stack in stacks] == [
        Place(layout_of(stack), stack, number) for number, stack in enumerate(stacks, 1)
    ]
    assert machine.claimed(Layout(tmp_path / "c", 20000)) is None


def test_kwok_keeps_its_hands_off_a_node_that_says_it_is_real() -> None:
    names = [name for module in (*MODULES, *NODE_MODULES) for name in module.programs]
    shares = {module.name: Path("/share") for module in MODULES}
    tools = Tools({name: Path("/bin") / name for name in names}, shares)
    kwok = next(each for each in processes.table(STACK, tools, each=False) if each.name == "kwok")
    kubelet = next(each for each in table(place(), tools) if each.name == "kubelet")
    assert f"--manage-nodes-with-label-selector=!{processes.REAL_NODE}" in kwok.command
    assert f"--node-labels={processes.REAL_NODE}=" in kubelet.command


def test_the_kubelet_is_of_the_same_release_as_the_api_server() -> None:
    asked = {
        line.split()[1]
        for module in (*MODULES, *NODE_MODULES)
        if module.name.startswith("kube")
        for line in (module.source / "go.mod").read_text().splitlines()
        if re.match(r"\s*k8s\.io/kubernetes v", line)
    }
    assert asked == {KUBERNETES}


def test_containerd_is_told_in_valid_toml_to_pull_nothing() -> None:
    told = tomllib.loads(configuration.containerd(place()))
    assert told["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == images.PAUSE


def test_an_image_is_the_same_for_the_same_program_and_names_its_layer(tmp_path: Path) -> None:
    program = tmp_path / "load"
    program.write_bytes(b"program")
    made = images.archive(images.PAUSE, program, "pause")
    assert made == images.archive(images.PAUSE, program, "pause")
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        files = {name: (tar.extractfile(name) or io.BytesIO()).read() for name in tar.getnames()}
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    assert manifest["RepoTags"] == [images.PAUSE]
    assert config["config"]["Entrypoint"] == ["/load", "pause"]


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ({}, True),
        ({"status": {"phase": "Bound"}}, False),
        ({"spec": claim()["spec"] | {"storageClassName": "standard"}}, False),
        ({"metadata": {"name": "data", "namespace": "a", "uid": "1"}}, False),
        ({"metadata": claim()["metadata"] | {"annotations": {volumes.SELECTED: "node-0"}}}, False),
    ],
    ids=["ours", "has one", "another class", "no node yet", "another node"],
)
def test_a_volume_is_made_for_a_claim_that_waits_for_one_here(change: Object, *, waits: bool) -> None:
    asked = claim() | change
    assert volumes.wanting([asked], []) == ([asked] if waits else [])
    assert volumes.wanting([asked], [volume("Available")]) == []


def test_the_files_of_released_volumes_go_and_those_of_others_stay() -> None:
    size, foreign = 64 << 20, {"metadata": {"name": "other"}, "spec": {"capacity": {"storage": "1Gi"}}}
    name = volumes.name_of(claim())
    assert volumes.sizes([claim()], [foreign]) == {name: size}
    assert volumes.sizes([], [volume("Bound"), foreign]) == {name: size}
    assert volumes.sizes([], [volume("Released")]) == {}
    assert volumes.released([volume("Bound"), volume("Failed")]) == [name]
