"""Where charts come from and who signed them, through the whole of it."""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from knative.local.layout import REPOSITORY
from shared.errors import Invalid
from shared.resources import SECRETS, SYSTEM_NAMESPACE
from tests.e2e.world import World
from tests.ports import free_port
from tests.shared.servers import helm_push, running
from tests.shared.signing import cosign, digest, keyring, packed, pem

EXAMPLE = REPOSITORY / "examples/charts/hello"


async def secret(world: World, name: str, kind: str = "Opaque", **data: bytes) -> str:
    """A Secret of the provider's; keywords are its keys, with _ for a dot."""
    full = f"{name}-{world.id}"
    encoded = {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}
    body = {"metadata": {"name": full, "namespace": SYSTEM_NAMESPACE}, "type": kind, "data": encoded}
    await world.cluster.apply(SECRETS, body, "provider")
    return full


def push(world: World, *arguments: str | Path) -> str:
    """With the command that `make up` puts beside kubectl; returns the digest."""
    command = [str(world.stack.layout.bin / "chandlery"), "push", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name not in ("NATS_URL", "LOCAL")}
    environment["PATH"] = f"{world.stack.layout.bin}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1]


async def test_a_pushed_chart_is_offered_and_ordered(world: World) -> None:
    pushed = push(world, EXAMPLE)
    await world.offered("Hello", {"archive": pushed})
    await world.order("Hello", "one")
    ready = await world.ready("Hello", "one")
    assert ready["status"]["release"]["digest"] == pushed


async def test_a_signed_chart_is_offered_and_no_other(world: World, tmp_path: Path) -> None:
    helm = str(world.stack.layout.bin / "helm")
    archive, prov = packed(helm, EXAMPLE, tmp_path, "trusted")
    trusted = await secret(world, "trusted", keyring=keyring("trusted"))
    stranger = await secret(world, "stranger", keyring=keyring("stranger"))

    def chart(by: str) -> dict[str, object]:
        return {"archive": digest(archive.read_bytes()), "verify": {"keyring": {"secretRef": {"name": by}}}}

    unsigned = tmp_path / "unsigned.tgz"
    unsigned.write_bytes(archive.read_bytes())
    push(world, unsigned)
    await world.offer("Hello", chart(trusted))
    missing = await world.offering_says("Hello", "ChartReady", "SignatureMissing")
    assert missing["message"].startswith("spec.chart.verify.keyring: the chart has no .prov beside it")

    push(world, unsigned, "--prov", prov)
    await world.offer("Hello", chart(stranger))
    invalid = await world.offering_says("Hello", "ChartReady", "SignatureInvalid")
    assert invalid["message"].startswith("spec.chart.verify.keyring: no key of the keyring made its .prov")

    await world.offered("Hello", chart(trusted))
    await world.order("Hello", "one")
    await world.ready("Hello", "one")

    # What is registered already is verified again when somebody else must have signed it.
    await world.offer("Hello", chart(stranger))
    await world.offering_says("Hello", "ChartReady", "SignatureInvalid")


@pytest.fixture
def registry(tools: dict[str, str]) -> Iterator[str]:
    port = free_port()
    with running([tools["registry"], "-listen", f"127.0.0.1:{port}"], port):
        yield f"127.0.0.1:{port}"


async def test_a_chart_that_cosign_signed_is_offered(world: World, registry: str, tmp_path: Path) -> None:
    helm = str(world.stack.layout.bin / "helm")
    archive, _ = packed(helm, EXAMPLE, tmp_path)
    manifest = helm_push(helm, archive, registry, "--plain-http")
    key = ec.generate_private_key(ec.SECP256R1())
    by = await secret(world, "cosign", cosign_pub=pem(key))
    source = {
        "url": f"oci://{registry}/charts/hello@{manifest}",
        "verify": {"cosign": {"secretRef": {"name": by}}},
    }
    await world.offer("Hello", source)
    missing = await world.offering_says("Hello", "ChartReady", "SignatureMissing")
    assert f"the registry has no signature of {manifest}" in missing["message"]

    stranger = await secret(world, "stranger", cosign_pub=pem(ec.generate_private_key(ec.SECP256R1())))
    async with aiohttp.ClientSession() as session:
        await cosign(session, registry, manifest, key)
    await world.offer("Hello", {**source, "verify": {"cosign": {"secretRef": {"name": stranger}}}})
    invalid = await world.offering_says("Hello", "ChartReady", "SignatureInvalid")
    assert "none of the 1 signatures" in invalid["message"]
    await world.offered("Hello", source)


async def test_secrets_that_are_meant_for_others_are_not_shown_to_servers(world: World) -> None:
    release = await secret(world, "release", kind="helm.sh/release.v1", token=b"hidden")
    source = {"url": "oci://127.0.0.1:1/hello:1.0.0", "auth": {"secretRef": {"name": release}}}
    await world.offer("Hello", source)
    said = await world.offering_says("Hello", "ChartReady", "SecretNotAllowed")
    assert f"spec.chart.auth.secretRef.name: Secret {release} holds a Helm release" in said["message"]


@pytest.mark.parametrize(
    ("chart", "says"),
    [
        pytest.param({"verify": {}}, "spec.chart.verify: names no key", id="no key"),
        pytest.param(
            {"verify": {"cosign": {"secretRef": {"name": "x"}}}}, "verify.cosign: signs OCI artifacts", id="not oci"
        ),
    ],
)
async def test_a_verification_that_makes_no_sense_is_refused_at_once(
    world: World, chart: dict[str, Any], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        await world.offer("Hello", {"url": "https://charts.example.com/x.tgz", **chart})
