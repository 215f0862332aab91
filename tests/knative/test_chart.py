"""Chandlery's own chart says what the overlays say, for every choice, and can be installed, changed and removed."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from knative import chart, pods
from knative.choices import CHOICES, Choice, Manifest, chosen, containers, objects
from knative.local.stack import Stack
from tests.ports import free_range


def said(choice: Choice) -> list[str]:
    values = {"served": choice.served, "broker": choice.broker, "ledger.kind": choice.ledger, "nats.kind": choice.nats}
    return [f"--set={name}={value}" for name, value in values.items()]


def helm(
    tools: dict[str, str], verb: str, *arguments: str, namespace: str = "chandlery"
) -> subprocess.CompletedProcess[str]:
    command = [tools["helm"], verb, *arguments, f"--namespace={namespace}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(tools: dict[str, str], *arguments: str) -> tuple[Manifest, ...]:
    done = helm(tools, "template", "chandlery", str(chart.CHART), "--skip-tests", *arguments)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def bare(one: Manifest) -> Manifest:
    """Without the two annotations that the chart adds."""
    found: Manifest = json.loads(json.dumps(one))
    metadatas = [found["metadata"]]
    if "template" in (found.get("spec") or {}):
        metadatas.append(found["spec"]["template"]["metadata"])
    for metadata in metadatas:
        annotations = metadata.get("annotations", {})
        annotations.pop(chart.KEEP, None)
        annotations.pop(chart.CONFIGURATION, None)
        if not annotations:
            metadata.pop("annotations", None)
    return found


def keyed(found: tuple[Manifest, ...]) -> dict[chart.Key, Manifest]:
    return {chart.key(each): bare(each) for each in found}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_the_chart_renders_what_the_overlay_is(tools: dict[str, str], choice: Choice) -> None:
    wanted = keyed(objects(chosen(tools["kubectl"], choice)))
    del wanted["Namespace", "v1", "", "chandlery"]  # Helm's to make
    assert keyed(rendered(tools, *said(choice))) == wanted


def test_its_templates_are_those_that_follow_from_the_components(tools: dict[str, str]) -> None:
    made = chart.files(tools["kubectl"])
    stale = [name for name, text in made.items() if (chart.CHART / name).read_text() != text]
    there = {str(path.relative_to(chart.CHART)) for path in chart.CHART.glob("templates/**/*.yaml")}
    assert (stale, there - set(made)) == ([], set()), "run `make generate`"


@pytest.mark.parametrize("choice", [CHOICES[0], CHOICES[-1]], ids=str)
def test_helm_finds_nothing_to_complain_of(tools: dict[str, str], choice: Choice) -> None:
    done = helm(tools, "lint", "--strict", str(chart.CHART), *said(choice))
    assert done.returncode == 0, done.stdout


WRONG = [
    ("served=pods", "served"),
    ("broker=rabbitmq", "broker"),
    ("ledger.kind=mysql", "ledger"),
    ("nats.url=http://x", "nats"),
    ("image.digest=latest", "digest"),
    ("replicas=3", "replicas"),
    ("ledger.storage=lots", "storage"),
    ("tracing.endpoint=collector:4317", "endpoint"),
]


@pytest.mark.parametrize(("value", "names"), WRONG, ids=[each[0] for each in WRONG])
def test_a_value_that_means_nothing_is_refused_by_name(tools: dict[str, str], value: str, names: str) -> None:
    done = helm(tools, "template", "chandlery", str(chart.CHART), f"--set={value}")
    assert (done.returncode, names in done.stderr) == (1, True)


def test_it_lives_in_one_namespace_and_says_so(tools: dict[str, str]) -> None:
    done = helm(tools, "template", "chandlery", str(chart.CHART), namespace="elsewhere")
    assert (done.returncode, "--namespace chandlery" in done.stderr) == (1, True)


@pytest.mark.parametrize("served", ["deployments", "serving"])
def test_an_image_is_chosen_once_for_all(tools: dict[str, str], served: str) -> None:
    digest = "sha256:" + "a" * 64
    by_tag = rendered(tools, f"--set=served={served},image.repository=r.example.com/c,image.tag=v2")
    by_digest = rendered(tools, f"--set=served={served},image.repository=r.example.com/c,image.digest={digest}")
    assert {one["image"] for name, one in containers(by_tag) if name != "nats"} == {"r.example.com/c:v2"}
    assert {one["image"] for name, one in containers(by_digest) if name != "nats"} == {f"r.example.com/c@{digest}"}


def test_what_a_function_may_use_can_be_changed(tools: dict[str, str]) -> None:
    wanted = {"limits": {"memory": "4Gi"}, "requests": {"memory": "4Gi"}}
    found = rendered(tools, "--set-json", f'resources={{"install-release": {json.dumps(wanted)}}}')
    used = {name: one["resources"] for name, one in containers(found)}
    assert used["install-release"] == wanted
    assert used["resync"] == pods.function_pod("resync")["containers"][0]["resources"]


def test_pods_are_replaced_when_their_environment_changes(tools: dict[str, str]) -> None:
    def told(*arguments: str) -> set[str]:
        templates = [each["spec"]["template"] for each in rendered(tools, *arguments) if each["kind"] == "Deployment"]
        return {each["metadata"]["annotations"][chart.CONFIGURATION] for each in templates}

    before, after = told(), told("--set=logLevel=DEBUG")
    assert (len(before), len(after), before & after) == (1, 1, set())


def test_traces_go_where_it_is_said_and_else_nowhere(tools: dict[str, str]) -> None:
    def told(*arguments: str) -> set[str | None]:
        found = [each["data"] for each in rendered(tools, *arguments) if each["kind"] == "ConfigMap" and "data" in each]
        return {each.get("OTEL_EXPORTER_OTLP_ENDPOINT") for each in found if "LOG_LEVEL" in each}

    assert told() == {None}
    assert told("--set=tracing=null") == {None}
    assert told("--set=tracing.endpoint=http://collector:4318") == {"http://collector:4318"}


def test_storage_and_secrets_for_pulling_can_be_chosen(tools: dict[str, str]) -> None:
    given = "ledger.storageClass=fast,ledger.storage=50Gi,imagePullSecrets[0].name=pull,image.pullPolicy=Always"
    found = rendered(tools, f"--set={given}")
    (claim,) = [each["spec"] for each in found if each["kind"] == "PersistentVolumeClaim"]
    assert (claim["storageClassName"], claim["resources"]) == ("fast", {"requests": {"storage": "50Gi"}})
    pulls = [each["spec"]["template"]["spec"].get("imagePullSecrets") for each in found if each["kind"] == "Deployment"]
    assert pulls == [[{"name": "pull"}]] * len(pulls)
    assert {one["imagePullPolicy"] for _, one in containers(found)} == {"Always"}


# On a real API server


class Bare(Stack):
    """A control plane with Knative's kinds and nothing of ours."""

    def up(self) -> None:
        self.control_plane("controller-manager")
        self._apply_knative()
        self._wait_kinds()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    found = Bare(tmp_path_factory.mktemp("chart") / "s", free_range())
    found.up()
    yield found
    found.down()


def there(stack: Stack, *arguments: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(stack.kubectl("get", *arguments, "-ojson"))["items"]
    return items


@pytest.mark.xdist_group("chart")
def test_it_is_installed_changed_and_removed_and_leaves_what_was_ordered(tools: dict[str, str], empty: Stack) -> None:
    config = f"--kubeconfig={empty.layout.kubeconfig}"
    ours = ("-n", "chandlery", "-l", "app.kubernetes.io/part-of=chandlery")

    done = helm(tools, "install", "chandlery", str(chart.CHART), "--create-namespace", config)
    assert done.returncode == 0, done.stderr
    assert "helm -n chandlery test chandlery" in done.stdout
    wanted = {each["metadata"]["name"] for each in rendered(tools) if each["kind"] == "Deployment"}
    assert {each["metadata"]["name"] for each in there(empty, "deployments", *ours)} == wanted

    done = helm(tools, "upgrade", "chandlery", str(chart.CHART), "--set=logLevel=DEBUG,nats.kind=external", config)
    assert done.returncode == 0, done.stderr
    (told,) = [each["data"] for each in there(empty, "configmaps", *ours) if each["metadata"]["name"] == "chandlery"]
    assert told["LOG_LEVEL"] == "DEBUG"
    assert there(empty, "statefulsets", *ours) == []

    done = helm(tools, "uninstall", "chandlery", "--wait", config)
    assert done.returncode == 0, done.stderr
    left = there(empty, "deployments,services,brokers,triggers,configmaps,secrets,serviceaccounts", *ours)
    assert [each["metadata"]["name"] for each in left] == []
    kinds = {each["spec"]["names"]["kind"] for each in there(empty, "crd") if each["spec"]["group"] == "chandlery.dev"}
    assert kinds == {"Offering", "Consumer", "Provider"}

    done = helm(tools, "install", "chandlery", str(chart.CHART), config)
    assert done.returncode == 0, done.stderr
