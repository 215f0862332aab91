"""Whatever is wrong is answered on the object, with what to change; and right after it is right, it works."""

import pytest

from shared.resources import OFFERINGS
from tests.archives import archive, chart
from tests.e2e.world import Serve, World, conditions, is_ready

UNMEASURED = {"capacity": "Unchecked"}
"""Otherwise pods that no node can hold are refused before they are made."""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"<html>not a chart</html>", "NotAChart", id="a web page"),
        pytest.param(archive({"../../etc/passwd": "x", "Chart.yaml": "x"}), "UnsafePath", id="path traversal"),
        pytest.param(archive({"templates/a.yaml": "x"}), "NotAChart", id="no Chart.yaml"),
        pytest.param(b"x" * (21 * 1024 * 1024), "ArchiveTooLarge", id="huge"),
        pytest.param(archive({"Chart.yaml": "a: [", "values.yaml": ""}), "InvalidYaml", id="broken YAML"),
    ],
)
async def test_what_is_no_fit_chart_is_refused(world: World, serve: Serve, body: bytes, reason: str) -> None:
    await world.offer("Thing", {"url": serve(body)})
    said = await world.offering_says("Thing", "ChartReady", reason)
    assert said["status"] == "False"
    assert said["message"]
    assert (await world.offering_says("Thing", "Ready", reason))["message"] == said["message"]


async def test_a_chart_that_is_not_there_or_not_the_one_is_refused_until_it_is_corrected(
    world: World, serve: Serve
) -> None:
    good = serve(chart())
    await world.offer("Thing", {"url": good.replace("/0.tgz", "/9.tgz")})
    await world.offering_says("Thing", "ChartReady", "ChartNotFound")
    await world.offer("Thing", {"url": good, "digest": "sha256:" + "0" * 64})
    assert "spec.chart.digest" in (await world.offering_says("Thing", "ChartReady", "DigestMismatch"))["message"]
    await world.offered("Thing", {"url": good})


async def test_an_unknown_parameter_is_refused_with_the_nearest_one(world: World) -> None:
    await world.offer("Hello", "hello", parameters=[{"path": "replicaCuont"}])
    said = await world.offering_says("Hello", "Published", "UnknownParameter")
    assert said["message"] == (
        "spec.parameters[0].path: the chart has no value replicaCuont; did you mean replicaCount?"
    )


async def test_a_kind_that_is_taken_is_refused(world: World) -> None:
    await world.offered("Hello", "hello")
    api = {"group": world.kind("Hello").group, "kind": "Hello"}
    for name, differs in {"same": {}, "other-plural": {"plural": "greetings"}}.items():
        body = {"url": "file:///examples/charts/hello"}
        offering = {"metadata": {"name": f"{name}-{world.id}"}, "spec": {"chart": body, "api": api | differs}}
        await world.cluster.apply(OFFERINGS, offering, "provider")

        async def refused(name: str = f"{name}-{world.id}") -> bool:
            found = await world.cluster.get(OFFERINGS, name)
            said = conditions(found).get("Published", {})
            return said.get("reason") == "NameTaken" and "spec.api" in said["message"]

        await world.eventually(refused, f"{name} is refused")
    assert is_ready(await world.offering("Hello"))


async def test_the_api_server_itself_refuses_what_breaks_the_schema(world: World) -> None:
    parameter = {"path": "replicaCount", "name": "replicas", "maximum": 3}
    await world.offered("Hello", "hello", parameters=[parameter])
    kind = world.kind("Hello")

    def order(spec: str) -> str:
        metadata = f"{{name: x, namespace: {world.namespace}}}"
        body = f"{{apiVersion: {kind.api_version}, kind: Hello, metadata: {metadata}, spec: {spec}}}"
        return world.kubectl("apply", "-f", "-", given=body, fails=True)

    assert "spec.replicas" in order("{replicas: 5}")
    assert 'unknown field "spec.image"' in order("{image: evil}")
    assert "spec.replicas" in order("{replicas: many}")


async def test_an_offering_that_breaks_its_own_schema_is_refused_by_the_api_server(world: World) -> None:
    def offer(chart: str) -> str:
        body = (
            f"{{apiVersion: chandlery.dev/v1alpha1, kind: Offering, metadata: {{name: x-{world.id}}}, "
            f"spec: {{chart: {chart}, api: {{group: a.example.com, kind: X}}}}}}"
        )
        return world.kubectl("apply", "-f", "-", given=body, fails=True)

    assert "exactly one of url" in offer("{url: a, repository: b, name: c}")
    assert 'unknown field "spec.chart.uri"' in offer("{uri: a}")


async def test_a_template_that_fails_says_so_and_a_change_is_tried_at_once(world: World, serve: Serve) -> None:
    template = '{{ if eq .Values.mood "bad" }}{{ fail "mood must be good" }}{{ end }}\n'
    url = serve(chart("mood: good\n", config=template + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: made}\n"))
    await world.offered("Thing", {"url": url})
    await world.order("Thing", "one", mood="bad")
    said = await world.says("Thing", "one", "Deployed", "TemplateFailed")
    assert "mood must be good" in said["message"]
    assert "tried again at" in said["message"]
    await world.says("Thing", "one", "Ready", "TemplateFailed")
    await world.order("Thing", "one", mood="fine")
    assert (await world.ready("Thing", "one"))["status"]["release"]["revision"] == 1


async def test_a_broken_upgrade_rolls_back_and_says_why(world: World) -> None:
    await world.offered("Hello", "hello")
    await world.order("Hello", "one")
    namespace = (await world.ready("Hello", "one"))["status"]["release"]["namespace"]
    await world.order("Hello", "one", service={"port": 99999})
    said = await world.says("Hello", "one", "Deployed", "ObjectRefused")
    assert "spec.ports[0].port" in said["message"]
    assert "rolled back to revision 1" in said["message"]
    await world.says("Hello", "one", "Ready", "ObjectRefused")
    assert await world.revisions(namespace) == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    await world.order("Hello", "one", service={"port": 8080})
    await world.ready("Hello", "one")


async def test_a_hook_that_never_ends_is_given_up_and_its_pod_says_why(world: World, serve: Serve) -> None:
    hook = """apiVersion: batch/v1
kind: Job
metadata:
  name: never
  annotations: {"helm.sh/hook": pre-install}
spec:
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {no: such-node}
      containers: [{name: wait, image: busybox}]
"""
    await world.offered("Thing", {"url": serve(chart(hook=hook))}, release={"timeout": "3s"}, policies=UNMEASURED)
    await world.order("Thing", "one")
    said = await world.says("Thing", "one", "Deployed", "HookTimeout")
    assert "didn't match Pod's node affinity/selector" in said["message"]
    found = await world.instance("Thing", "one")
    assert found
    await world.delete("Thing", "one")
    await world.gone("Thing", "one", found["metadata"]["uid"])


async def test_names_at_their_limits_work(world: World) -> None:
    await world.offered("Hello", "hello")
    name = "n" * 200
    await world.order("Hello", name)
    release = (await world.ready("Hello", name))["status"]["release"]
    assert len(release["namespace"]) <= 63
    assert len(release["name"]) <= 53


async def test_a_workload_that_cannot_run_says_why(world: World) -> None:
    await world.offered("Hello", "hello", policies=UNMEASURED)
    await world.order("Hello", "one", nodeSelector={"no": "such-node"})
    said = await world.says("Hello", "one", "Ready", "Unschedulable")
    assert "didn't match Pod's node affinity/selector" in said["message"]
    await world.order("Hello", "one", nodeSelector={"kubernetes.io/os": "linux"})
    await world.ready("Hello", "one")


async def test_an_unknown_placeholder_is_refused(world: World) -> None:
    await world.offer("Hello", "hello", values={"nameOverride": "$(instance.nmae)"})
    said = await world.offering_says("Hello", "ChartReady", "UnknownPlaceholder")
    assert "spec.values.nameOverride" in said["message"]
    await world.offering_says("Hello", "Ready", "UnknownPlaceholder")


async def test_pods_that_the_namespace_forbids_are_reported(world: World) -> None:
    await world.offered("Hello", "hello")
    await world.order("Hello", "one", replicaCount=1)
    namespace = (await world.ready("Hello", "one"))["status"]["release"]["namespace"]
    world.kubectl("create", "quota", "by-hand", "--hard=pods=1", "-n", namespace)
    await world.order("Hello", "one", replicaCount=2)
    said = await world.says("Hello", "one", "Ready", "FailedCreate")
    assert "exceeded quota: by-hand" in said["message"]


async def test_an_upgrade_that_never_gets_ready_rolls_back(world: World) -> None:
    await world.offered("Hello", "hello", release={"timeout": "2s"}, policies=UNMEASURED)
    await world.order("Hello", "one")
    namespace = (await world.ready("Hello", "one"))["status"]["release"]["namespace"]
    await world.order("Hello", "one", nodeSelector={"no": "such-node"})
    said = await world.says("Hello", "one", "Deployed", "NeverReady")
    assert "not ready within 2s of the upgrade" in said["message"]
    assert "didn't match Pod's node affinity/selector" in said["message"]
    assert "rolled back to revision 1" in said["message"]
    assert await world.revisions(namespace) == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    await world.order("Hello", "one", nodeSelector={"kubernetes.io/os": "linux"})
    await world.ready("Hello", "one")
