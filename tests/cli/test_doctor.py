"""`chandlery doctor` on real clusters that lack something."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from knative.local.stack import Stack
from shared.metering.ledger import Ledger
from tests.cli.typed import Answer, typed
from tests.ports import free_port, free_range
from tests.shared.servers import running

PASSWORD = "correct-horse"
KEPT = ("Authorization", "Accept", "Content-Type")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An API server that nothing was installed in."""
    found = Stack(tmp_path_factory.mktemp("bare") / "stack", free_range())
    found.control_plane()
    yield found
    found.down()


def doctor(kubeconfig: Path, **environment: str) -> tuple[Answer, dict[str, list[dict[str, str]]]]:
    """By subject."""
    answer = typed(kubeconfig, "doctor", "-o", "json", **environment)
    by_subject: dict[str, list[dict[str, str]]] = {}
    for each in json.loads(answer.out):
        by_subject.setdefault(each["subject"], []).append(each)
    return answer, by_subject


def test_a_cluster_that_nothing_was_installed_in(bare: Stack) -> None:
    nats = bare.layout.nats.read_text().strip()
    answer, found = doctor(bare.layout.kubeconfig, NATS_URL=nats)
    assert answer.code == 1
    assert [each["state"] for each in found["kubernetes"]] == ["ok"]
    assert found["eventing"] == [
        {
            "subject": "eventing",
            "state": "missing",
            "message": "Knative Eventing is not installed: there are no Brokers and Triggers",
            "fix": "install Knative Eventing: https://knative.dev/docs/install/yaml-install/eventing/",
        }
    ]
    assert {each["state"] for each in found["kinds"]} == {"missing"}
    assert {each["fix"] for each in found["kinds"]} == {"chandlery install"}
    assert "service accounts are missing" in found["rights"][0]["message"]
    assert found["nats"][0]["state"] == "ok"
    assert found["network"][0]["message"].startswith("not known")
    assert found["storage"][0]["state"] == "limited"


def test_the_table_has_a_line_and_a_fix_for_each(bare: Stack) -> None:
    answer = typed(bare.layout.kubeconfig, "doctor")
    assert answer.code == 1
    lines = answer.out.splitlines()
    at = next(index for index, line in enumerate(lines) if "Knative Eventing is not installed" in line)
    assert lines[at].startswith("missing")
    assert "fix: install Knative Eventing" in lines[at + 1]


def test_nats_that_is_not_there_is_told_from_one_that_refuses(
    bare: Stack, tools: dict[str, str], tmp_path: Path
) -> None:
    away, closed = free_port(), free_port()
    auth = ["--user", "chandlery", "--pass", PASSWORD, "-js", "-sd", str(tmp_path)]
    command = [tools["nats-server"], "-a", "127.0.0.1", "-p", str(closed)]

    def nats(url: str, **more: str) -> dict[str, str]:
        answer, found = doctor(bare.layout.kubeconfig, NATS_URL=url, **more)
        assert PASSWORD not in answer.out + answer.err
        return found["nats"][0]

    silent = nats(f"nats://127.0.0.1:{away}")
    assert silent["message"].startswith(f"nats://127.0.0.1:{away} can't be reached")
    with running([*command, *auth], closed):
        refusing = nats(f"nats://127.0.0.1:{closed}")
        wrong = nats(f"nats://chandlery:wrong-{PASSWORD[:3]}@127.0.0.1:{closed}")
        right = nats(f"nats://chandlery:{PASSWORD}@127.0.0.1:{closed}")
        no_file = nats(f"nats://127.0.0.1:{closed}", NATS_CREDS="/nowhere/nats.creds")
    assert refusing["message"] == wrong["message"] == f"nats://127.0.0.1:{closed} refuses the credentials"
    assert "NATS_CREDS" in refusing["fix"]
    assert right["state"] == "ok"
    assert no_file["message"] == "NATS_CREDS: there is no file /nowhere/nats.creds"
    with running(command, closed):
        assert "no JetStream" in nats(f"nats://127.0.0.1:{closed}")["message"]


def test_whoever_has_no_rights_is_told_what_is_hidden(bare: Stack) -> None:
    """A service account that nothing was granted."""
    answer, found = doctor(bare.layout.kubeconfig_of("report-health"))
    said = {each["message"] for subject in ("metrics", "rights", "network", "kinds") for each in found[subject]}
    assert "not visible to you: nodes in the whole cluster" in said
    assert "not visible to you: what the functions may do (subjectaccessreviews)" in said
    assert all(each.startswith("not visible to you: ") for each in said), said
    assert {each["state"] for subject in ("metrics", "rights") for each in found[subject]} == {"unknown"}
    assert answer.err == ""


def test_a_cluster_that_is_away_is_one_clear_line_for_each_check(tmp_path: Path, bare: Stack) -> None:
    config = yaml.safe_load(bare.layout.kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{free_port()}"}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    answer, found = doctor(path)
    assert answer.code == 1
    assert found["kubernetes"][0]["message"].startswith("the API server can't be reached")


@asynccontextmanager
async def older(bare: Stack, folder: Path, version: dict[str, str]) -> AsyncIterator[Path]:
    """The same API server, which says that it is another version, and serves no admission policies."""
    config = yaml.safe_load(bare.layout.kubeconfig.read_text())
    behind = config["clusters"][0]["cluster"]["server"]

    async def forward(request: web.Request) -> web.Response:
        if request.path == "/version":
            return web.json_response(version)
        kept = {key: value for key, value in request.headers.items() if key in KEPT}
        async with session.request(
            request.method, behind + request.path_qs, headers=kept, data=await request.read(), ssl=False
        ) as answer:
            body = await answer.read()
            if request.path == "/apis":
                body = without(json.loads(body), "admissionregistration.k8s.io")
            return web.Response(
                body=body, status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    async with aiohttp.ClientSession() as session:
        yield path
    await runner.cleanup()


def without(discovered: dict[str, Any], group: str) -> bytes:
    items = [each for each in discovered["items"] if each["metadata"]["name"] != group]
    return json.dumps(discovered | {"items": items}).encode()


async def test_an_old_kubernetes(bare: Stack, tmp_path: Path) -> None:
    async with older(bare, tmp_path, {"major": "1", "minor": "27", "gitVersion": "v1.27.3"}) as kubeconfig:
        answer, found = await asyncio.to_thread(doctor, kubeconfig)
    assert answer.code == 1
    assert found["kubernetes"][0] == {
        "subject": "kubernetes",
        "state": "missing",
        "message": "version v1.27.3 is older than 1.30, the first that bounds what we may do",
        "fix": "upgrade the cluster to 1.30 or newer",
    }
    assert [each["state"] for each in found["admission"]] == ["missing", "limited"]


async def test_the_ledger_is_there_or_it_is_said_why_not(bare: Stack, tmp_path: Path) -> None:
    async def state(url: str) -> tuple[str, str]:
        answer, found = await asyncio.to_thread(doctor, bare.layout.kubeconfig, CHANDLERY_LEDGER_URL=url)
        assert PASSWORD not in answer.out + answer.err
        return found["ledger"][0]["state"], found["ledger"][0]["message"]

    path = tmp_path / "ledger.db"
    await (await Ledger.open(f"sqlite+aiosqlite:///{path}")).close()
    assert await state(f"sqlite+aiosqlite:///{path}") == ("ok", f"sqlite:///{path} can be read")
    assert "has no table" in (await state(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"))[1]
    port = free_port()
    away = await state(f"postgresql+asyncpg://user:{PASSWORD}@127.0.0.1:{port}/ledger")
    assert away[0] == "missing"
    assert away[1].startswith(f"postgresql://127.0.0.1:{port}/ledger can't be reached")
    assert await state("nonsense") == ("missing", "CHANDLERY_LEDGER_URL can't be understood")


def test_a_whole_stack_lacks_nothing(stack: Stack) -> None:
    answer, found = doctor(stack.layout.kubeconfig, NATS_URL=stack.layout.nats.read_text().strip())
    missing = [each for subject in found.values() for each in subject if each["state"] == "missing"]
    assert (missing, answer.code) == ([], 0)
    assert [each["message"] for each in found["eventing"]][-2:] != []
    assert [each["state"] for each in found["rights"]] == ["ok"]
