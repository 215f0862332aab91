"""Every overlay and every choice of components is something that Kubernetes and Knative take, and hangs together."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from events.catalog import WEBHOOKS, Domain
from knative import pods, workloads
from knative.choices import CHOICES, KNATIVE, OVERLAYS, Choice, Manifest, built, chosen, containers, objects
from knative.choices import templates as templates_of
from knative.local import layout
from knative.local.build import build
from knative.local.layout import REPOSITORY, function_names
from knative.local.stack import Stack
from shared.crds import to_yaml

DEPLOYED = Choice("deployments")
SERVED = Choice("serving")
kebab = pods.kebab


def rendered(tools: dict[str, str], choice: Choice) -> tuple[Manifest, ...]:
    return objects(chosen(tools["kubectl"], choice))


def linted(program: str, text: str) -> str:
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def accepted(tools: dict[str, str], text: str) -> None:
    """By Knative's own types; and uninstall, which has only a label to go by once its record is gone, finds it all."""
    linted(tools["servlint"], linted(tools["knlint"], text))
    bare = [
        (each["kind"], each["metadata"]["name"])
        for each in objects(text)
        if (each["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") != "chandlery"
    ]
    assert bare == []


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_choice_is_accepted(tools: dict[str, str], choice: Choice) -> None:
    accepted(tools, chosen(tools["kubectl"], choice))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_is_accepted(tools: dict[str, str], overlay: str) -> None:
    accepted(tools, built(tools["kubectl"], KNATIVE / "overlays" / overlay))


SPOILT = [
    ("servlint", "containerConcurrency", -1, "containerConcurrency"),
    ("servlint", "timeoutSeconds", 601, "timeoutSeconds"),
    ("servlint", "automountServiceAccount", False, "automountServiceAccount"),
    ("servlint", "securityContext", {"fsGroup": 1}, "securityContext"),
]


@pytest.mark.parametrize(("program", "field", "value", "said"), SPOILT, ids=[each[1] for each in SPOILT])
def test_a_mistake_in_a_knative_service_is_found(
    tools: dict[str, str], program: str, field: str, value: object, said: str
) -> None:
    service = pods.knative_service("admit_instance")
    service["spec"]["template"]["spec"][field] = value
    done = subprocess.run([tools[program]], input=yaml.safe_dump(service), capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (1, True)


def dry_run(stack: Stack, text: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(stack.layout.bin / "kubectl"),
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f-",
    ]
    environment = {**os.environ, "KUBECONFIG": str(stack.layout.kubeconfig)}
    return subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def with_serving(stack: Stack) -> Stack:
    """Serving's kinds, without Serving."""
    share = build().shares["serving"]
    kubectl = [str(stack.layout.bin / "kubectl"), f"--kubeconfig={stack.layout.kubeconfig}"]
    folder = share / "config/core/300-resources"
    subprocess.run([*kubectl, "apply", "--server-side", "-f", str(folder / "service.yaml")], check=True)
    wait = ["wait", "--for=condition=established", "crd/services.serving.knative.dev", "--timeout=30s"]
    subprocess.run([*kubectl, *wait], check=True)
    return stack


SAID_TO_THE_SERVER = [
    Choice("deployments", "mt-channel", "sqlite", "bundled"),
    Choice("serving", "nats-jetstream", "postgresql", "external"),
    Choice("serving", "kafka", "sqlite", "bundled"),
]


@pytest.mark.xdist_group("overlays")
@pytest.mark.parametrize("choice", SAID_TO_THE_SERVER, ids=str)
def test_the_api_server_takes_it_without_a_warning(with_serving: Stack, tools: dict[str, str], choice: Choice) -> None:
    """Strictly: an unknown field is an error; what Pod Security would not let in is a warning."""
    done = dry_run(with_serving, chosen(tools["kubectl"], choice))
    assert (done.returncode, done.stderr) == (0, "")


# How it hangs together


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_function_and_source_runs_once_as_itself(tools: dict[str, str], choice: Choice) -> None:
    running = {name: pod["serviceAccountName"] for name, pod in templates_of(rendered(tools, choice))}
    ours = {kebab(each) for each in function_names()} | {*layout.SOURCES}
    assert running == {name: name for name in ours | ({"nats"} if choice.nats == "bundled" else set())}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_account_that_is_used_is_there(tools: dict[str, str], choice: Choice) -> None:
    found = rendered(tools, choice)
    accounts = {each["metadata"]["name"] for each in found if each["kind"] == "ServiceAccount"}
    assert {pod["serviceAccountName"] for _, pod in templates_of(found)} <= accounts
    bindings = [each for each in found if each["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    bound = {
        each["name"] for binding in bindings for each in binding["subjects"] if each.get("namespace") == "chandlery"
    }
    assert bound <= accounts


@pytest.mark.parametrize("choice", [DEPLOYED, SERVED], ids=str)
def test_nobody_is_an_administrator(tools: dict[str, str], choice: Choice) -> None:
    found = rendered(tools, choice)
    roles = {each["roleRef"]["name"] for each in found if each["kind"].endswith("RoleBinding")}
    assert roles.isdisjoint({"cluster-admin", "admin", "edit"})
    secrets = [each["metadata"]["name"] for each in found if each["kind"] == "Secret"]
    assert secrets == [workloads.CERTIFICATES]
    assert not any("KUBECONFIG" in str(one) for _, one in containers(found))


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_everything_of_ours_is_one_image(tools: dict[str, str], choice: Choice) -> None:
    images = {one["image"] for name, one in containers(rendered(tools, choice)) if name != "nats"}
    assert images == {pods.IMAGE}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_an_image_is_renamed_everywhere_by_one_line(tools: dict[str, str], choice: Choice) -> None:
    assert pods.IMAGE.partition(":")[0] == "chandlery"
    assert all(
        name == "nats" or one["image"].startswith("chandlery:") for name, one in containers(rendered(tools, choice))
    )


@pytest.mark.parametrize("choice", [DEPLOYED, SERVED], ids=str)
def test_no_container_may_do_more_than_it_must(tools: dict[str, str], choice: Choice) -> None:
    kept = {name: one.get("securityContext") for name, one in containers(rendered(tools, choice))}
    assert kept == dict.fromkeys(kept, pods.SECURITY)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_every_trigger_leads_to_something_that_is_there(tools: dict[str, str], choice: Choice) -> None:
    found = rendered(tools, choice)
    there = {(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in found}
    refs = [each["spec"]["subscriber"]["ref"] for each in found if each["kind"] == "Trigger"]
    refs += [each["spec"]["sink"]["ref"] for each in found if each["kind"] in ("PingSource", "SinkBinding")]
    deliveries = [each["spec"]["delivery"] for each in found if each["kind"] == "Broker"]
    refs += [delivery["deadLetterSink"]["ref"] for delivery in deliveries if "deadLetterSink" in delivery]
    assert [ref for ref in refs if (ref["apiVersion"], ref["kind"], ref["name"]) not in there] == []


@pytest.mark.parametrize("choice", [DEPLOYED, SERVED], ids=str)
def test_every_service_finds_pods(tools: dict[str, str], choice: Choice) -> None:
    found = rendered(tools, choice)
    labelled = [
        each["spec"]["template"]["metadata"]["labels"].items() for each in found if "template" in each.get("spec", {})
    ]
    services = [each for each in found if (each["apiVersion"], each["kind"]) == ("v1", "Service")]
    unmatched = [
        each["metadata"]["name"]
        for each in services
        if not any(each["spec"]["selector"].items() <= labels for labels in labelled)
    ]
    assert (unmatched, len(services) > 0) == ([], True)


def test_a_webhook_is_called_by_https_in_every_overlay(tools: dict[str, str]) -> None:
    for choice in (DEPLOYED, SERVED):
        found = {(each["kind"], each["metadata"]["name"]): each for each in rendered(tools, choice)}
        for name in map(kebab, WEBHOOKS):
            ports = [port["port"] for port in found["Service", name]["spec"]["ports"]]
            listening = [
                port["containerPort"]
                for port in found["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["ports"]
            ]
            assert (ports, listening) == ([80, 443], [8080, 8443])


def test_the_class_of_a_broker_is_a_choice(tools: dict[str, str]) -> None:
    classes = {"mt-channel": "MTChannelBasedBroker", "nats-jetstream": "NatsJetStreamBroker", "kafka": "Kafka"}
    for name, kind in classes.items():
        brokers = [each for each in rendered(tools, Choice(broker=name)) if each["kind"] == "Broker"]
        found = {each["metadata"]["annotations"]["eventing.knative.dev/broker.class"] for each in brokers}
        assert (len(brokers), found) == (len(get_args(Domain)), {kind})


# The table


def test_a_function_that_stands_in_no_line_of_the_table_gets_what_most_need() -> None:
    assert "count_instances" not in workloads.WORKLOADS
    pod = pods.function_pod("count_instances")
    assert pod["containers"][0]["resources"]["limits"] == {"memory": workloads.Workload().memory}


def test_every_source_of_the_stack_stands_in_the_table() -> None:
    assert {*workloads.SOURCES} == {*layout.SOURCES}


@pytest.mark.parametrize("function", function_names())
def test_no_event_may_take_longer_than_knative_serving_lets_it(function: str) -> None:
    assert workloads.workload(function).timeout <= 600


def test_helm_is_bounded_by_memory() -> None:
    """150 MiB for each that runs at once, and the function's own 256."""
    for name in ("install_release", "remove_release"):
        found = workloads.workload(name)
        assert found.at_once * 150 + 256 <= int(found.memory.removesuffix("Gi")) * 1024


@pytest.fixture
def with_a_ledger(tools: dict[str, str], tmp_path: Path) -> Callable[[str], dict[str, Manifest]]:
    """An overlay of a component and two functions that keep the ledger."""

    def built_with(component: str) -> dict[str, Manifest]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pods, "keeps_ledger", lambda function: function in ("resync", "admit_instance"))
            assert not pods.scales("resync")
            documents = pods.always(["resync", "admit_instance", "count_instances", "keep_dead_letters"])
        (tmp_path / "pods.yaml").write_text(to_yaml(*documents))
        up = os.path.relpath(KNATIVE, tmp_path.resolve())
        chosen_one = {"resources": ["pods.yaml"], "components": [f"{up}/components/{component}"]}
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(chosen_one))
        found = objects(built(tools["kubectl"], tmp_path))
        return {each["metadata"]["name"]: each["spec"] for each in found}

    return built_with


def environment(spec: Manifest) -> dict[str, Any]:
    return {
        each["name"]: each.get("value", each.get("valueFrom"))
        for each in spec["template"]["spec"]["containers"][0]["env"]
    }


def test_a_ledger_in_a_file_is_opened_on_one_node_by_one_pod_each(
    with_a_ledger: Callable[[str], dict[str, Manifest]],
) -> None:
    found = with_a_ledger("ledger-sqlite")
    for name in ("resync", "admit-instance"):
        spec = found[name]
        pod = spec["template"]["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        assert pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert [each["name"] for each in pod["volumes"]] == ["ledger", "tmp"]
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert environment(spec)["CHANDLERY_LEDGER_URL"] == f"sqlite+aiosqlite:///{mounts['ledger']}/ledger.db"
    assert "CHANDLERY_LEDGER_URL" not in environment(found["keep-dead-letters"])


def test_a_ledger_in_postgresql_is_found_by_a_secret(with_a_ledger: Callable[[str], dict[str, Manifest]]) -> None:
    found = with_a_ledger("ledger-postgresql")
    secret = {"secretKeyRef": {"name": "chandlery-ledger", "key": "url"}}
    urls = {name: environment(spec).get("CHANDLERY_LEDGER_URL") for name, spec in found.items()}
    assert urls == {"resync": secret, "admit-instance": secret, "keep-dead-letters": None}


def test_the_install_page_names_every_overlay_and_component() -> None:
    page = (REPOSITORY / "docs/install.md").read_text()
    parts: list[str] = [path.name for path in (KNATIVE / "components").iterdir() if path.name != "pods"]
    assert [each for each in [*parts, *OVERLAYS] if f"`{each}`" not in page] == []


def test_traces_are_switched_on_for_all_by_one_component(tools: dict[str, str], tmp_path: Path) -> None:
    up = os.path.relpath(KNATIVE, tmp_path.resolve())
    traced = {"resources": [f"{up}/overlays/deployments"], "components": [f"{up}/components/tracing"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(traced))
    found = objects(built(tools["kubectl"], tmp_path))
    (settings,) = [each["data"] for each in found if each["kind"] == "ConfigMap" and "LOG_LEVEL" in each["data"]]
    assert settings["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("http://")
    ours = [one for name, one in containers(found) if name != "nats"]
    assert {json.dumps(one["envFrom"]) for one in ours} == {'[{"configMapRef": {"name": "chandlery"}}]'}


def test_no_policy_of_ours_keeps_pods_from_speaking(tools: dict[str, str]) -> None:
    """To the API server, charts, and a collector of traces: none of them is known beforehand."""
    found = [each["spec"] for each in rendered(tools, DEPLOYED) if each["kind"] == "NetworkPolicy"]
    assert {kind for spec in found for kind in spec["policyTypes"]} == {"Ingress"}
