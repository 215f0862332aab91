"""A chart that refuses an upgrade without its password is upgraded all the same, and keeps it."""

import base64
from typing import Any

import pytest

from shared.resources import SECRETS, WORKLOADS
from tests.archives import archive
from tests.e2e.world import Serve, World

DEPLOYMENTS = WORKLOADS[0]

CHART = "apiVersion: v2\nname: vault\nversion: 1.0.0\n"
VALUES = "replicas: 1\nauth: {rootPassword: '', password: ''}\n"
HELPERS = r"""
{{- define "ask" -}}
{{- if and .root.Release.IsUpgrade (not (index .root.Values.auth .name)) }}
    'auth.{{ .name }}' must not be empty, please add '--set auth.{{ .name }}=${{ .variable }}' to the command.
        {{- " To get the current value:" }}

        export {{ .variable }}=$(kubectl get secret --namespace {{ .root.Release.Namespace | quote }}
        {{- printf " %s -o jsonpath=\"{.data.%s}\" | base64 -d)" .root.Release.Name .key }}
{{ end -}}
{{- end -}}
"""
NOTES = r"""
{{- $first := include "ask" (dict "root" . "name" "rootPassword" "variable" "ROOT" "key" "root-password") }}
{{- $second := include "ask" (dict "root" . "name" "password" "variable" "USER" "key" "password") }}
{{- $all := cat $first $second | trim }}
{{- if $all }}
{{- printf "\nPASSWORDS ERROR: the current passwords are needed to upgrade.%s" (print $first $second) | fail }}
{{- end }}
Vault is up.
"""
TEMPLATE = """
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
stringData:
  root-password: {{ .Values.auth.rootPassword | default (randAlphaNum 12) | quote }}
  password: {{ .Values.auth.password | default (randAlphaNum 12) | quote }}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: vault}}
  template:
    metadata: {labels: {app: vault}}
    spec:
      containers:
      - name: vault
        image: vault
        env:
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: {{ .Release.Name }}, key: password}}}
"""


def vault(notes: str = NOTES, values: str = VALUES) -> bytes:
    files = {"Chart.yaml": CHART, "values.yaml": values, "templates/all.yaml": TEMPLATE}
    return archive(files | {"templates/_helpers.tpl": HELPERS, "templates/NOTES.txt": notes})


async def passwords(world: World, namespace: str) -> dict[str, str]:
    found = (await world.cluster.list(SECRETS, namespace))["items"]
    data: dict[str, Any] = next(each["data"] for each in found if each["metadata"]["name"] == "one")
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def logged(world: World) -> str:
    return "".join(path.read_text(errors="replace") for path in world.stack.layout.logs.iterdir())


ONE_AFTER_THE_OTHER = NOTES.replace("{{- $second :=", "{{- if $first }}{{ fail $first }}{{ end }}\n{{- $second :=")


@pytest.mark.parametrize("notes", [NOTES, ONE_AFTER_THE_OTHER], ids=["both at once", "one after the other"])
async def test_passwords_are_handed_back_at_an_upgrade(world: World, serve: Serve, notes: str) -> None:
    await world.offered("Vault", {"url": serve(vault(notes))}, parameters=[{"path": "replicas"}])
    await world.order("Vault", "one")
    release = (await world.ready("Vault", "one"))["status"]["release"]
    before = await passwords(world, release["namespace"])

    await world.order("Vault", "one", replicas=2)
    changed = await world.ready("Vault", "one")
    assert changed["status"]["release"]["revision"] == 2
    assert await passwords(world, release["namespace"]) == before
    assert await world.revisions(release["namespace"]) == [(1, "superseded"), (2, "deployed")]
    deployment = (await world.cluster.list(DEPLOYMENTS, release["namespace"]))["items"][0]
    assert deployment["spec"]["replicas"] == 2

    await world.order("Vault", "one", replicas=3)
    assert (await world.ready("Vault", "one"))["status"]["release"]["revision"] == 3
    assert await passwords(world, release["namespace"]) == before
    said = world.kubectl("get", "events", "-A") + str(await world.instance("Vault", "one"))
    assert not [word for word in before.values() if word in said + logged(world)]


async def test_a_password_that_the_provider_pinned_is_left_alone(world: World, serve: Serve) -> None:
    pinned = {"auth": {"rootPassword": "pinned"}}
    await world.offered("Vault", {"url": serve(vault())}, parameters=[{"path": "replicas"}], values=pinned)
    await world.order("Vault", "one")
    release = (await world.ready("Vault", "one"))["status"]["release"]
    before = await passwords(world, release["namespace"])
    assert before["root-password"] == "pinned"

    await world.order("Vault", "one", replicas=2)
    await world.ready("Vault", "one")
    assert await passwords(world, release["namespace"]) == before
    pinned["auth"]["rootPassword"] = "changed"
    await world.offered("Vault", {"url": serve(vault())}, parameters=[{"path": "replicas"}], values=pinned)

    async def changed() -> bool:
        return await passwords(world, release["namespace"]) == before | {"root-password": "changed"}

    await world.eventually(changed, "the provider's new password is in force", lambda: world.instance("Vault", "one"))


async def test_a_password_that_is_nowhere_is_asked_for_in_the_charts_words(world: World, serve: Serve) -> None:
    elsewhere = NOTES.replace('"key" "password"', '"key" "no-such-key"')
    await world.offered("Vault", {"url": serve(vault(elsewhere))}, parameters=[{"path": "replicas"}])
    await world.order("Vault", "one")
    release = (await world.ready("Vault", "one"))["status"]["release"]
    before = await passwords(world, release["namespace"])
    await world.order("Vault", "one", replicas=2)
    said = await world.says("Vault", "one", "Deployed", "TemplateFailed")
    assert "'auth.password' must not be empty" in said["message"]
    assert await world.revisions(release["namespace"]) == [(1, "deployed")]
    assert await passwords(world, release["namespace"]) == before
