"""`chandlery push`, typed as a person would, to a real NATS."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.push import NATS, nats_url
from knative.local.layout import REPOSITORY
from shared.cache import Cache
from shared.charts import digest_of
from shared.store import ChartStore
from tests.ports import free_port
from tests.shared.archives import CHART, chart
from tests.shared.servers import Nats
from tests.shared.signing import packed

ARCHIVE = chart()


@pytest.fixture
def server(tools: dict[str, str], tmp_path: Path) -> Iterator[Nats]:
    found = Nats(tools["nats-server"], tmp_path / "nats")
    found.start()
    yield found
    found.stop()


def chandlery(*arguments: str | Path, url: str = "nats://127.0.0.1:1", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NATS_URL": url, "TERM": "dumb", "COLUMNS": "100", **more}
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def pushed(*arguments: str | Path, url: str, **more: str) -> str:
    """What it prints, after the digest was found in it twice."""
    done = chandlery("push", *arguments, url=url, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


async def kept(server: Nats, digest: str, folder: Path) -> tuple[bytes | None, bytes | None]:
    store = await ChartStore.open(server.url, Cache.open(folder / "cache"))
    path, prov = await store.path(digest), await store.prov(digest)
    await store.close()
    return path.read_bytes() if path else None, prov


async def test_a_chart_is_pushed_and_can_be_offered_by_what_is_printed(server: Nats, tmp_path: Path) -> None:
    archive = tmp_path / "hello.tgz"
    archive.write_bytes(ARCHIVE)
    digest = digest_of(ARCHIVE)
    printed = pushed(archive, url=server.url)
    assert printed.splitlines() == [
        "pushed hello 1.2.3 (0 KiB)",
        digest,
        "",
        "  spec:",
        "    chart:",
        f"      archive: {digest}",
    ]
    assert pushed(archive, url=server.url) == printed
    assert await kept(server, digest, tmp_path) == (ARCHIVE, None)


async def test_the_signature_goes_along(server: Nats, tmp_path: Path) -> None:
    archive, beside, other = tmp_path / "hello.tgz", tmp_path / "hello.tgz.prov", tmp_path / "other.prov"
    archive.write_bytes(ARCHIVE)
    beside.write_bytes(b"beside")
    other.write_bytes(b"other")
    for arguments, signature in (([archive], b"beside"), ([archive, "--prov", other], b"other")):
        assert "with its signature" in pushed(*arguments, url=server.url)
        assert await kept(server, digest_of(ARCHIVE), tmp_path) == (ARCHIVE, signature)


async def test_a_folder_is_packed_as_helm_packs_it(tools: dict[str, str], server: Nats, tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "Chart.yaml").write_text(CHART)
    (folder / ".helmignore").write_text("secret*\n")
    (folder / "secret.txt").write_text("x")
    archive, _ = packed(tools["helm"], folder, tmp_path / "packed")
    path = f"{Path(tools['helm']).parent}{os.pathsep}{os.environ['PATH']}"
    printed = pushed(folder, url=server.url, PATH=path)
    digest = digest_of(archive.read_bytes())
    assert printed.splitlines()[1] == digest
    assert await kept(server, digest, tmp_path) == (archive.read_bytes(), None)


async def test_a_chart_of_almost_20_mib_is_pushed(server: Nats, tmp_path: Path) -> None:
    parts = {f"files__{number}": os.urandom(4 * 1024 * 1024 + 900_000) for number in range(4)}
    archive = tmp_path / "hello.tgz"
    archive.write_bytes(chart(**parts))
    assert archive.stat().st_size > 19_000_000
    printed = pushed(archive, url=server.url)
    assert await kept(server, printed.splitlines()[1], tmp_path) == (archive.read_bytes(), None)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "hello.tgz").write_bytes(ARCHIVE)
    (tmp_path / "text.tgz").write_text("text")
    (tmp_path / "large.tgz").write_bytes(b"x" * (20 * 1024 * 1024 + 1))
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["nothing.tgz"], "nothing.tgz: can't be read (No such file or directory)", id="no file"),
        pytest.param(["text.tgz"], "the archive: is not a gzipped tar archive", id="no chart"),
        pytest.param(["large.tgz"], "large.tgz: has more than 20480 KiB", id="large"),
        pytest.param(["hello.tgz", "--prov", "no.prov"], "no.prov: can't be read", id="no signature"),
        pytest.param(["empty"], "empty: can't be packed: unable to detect chart", id="no chart's folder"),
        pytest.param(["empty", "--prov", "hello.tgz"], "only archives are signed", id="signature of a folder"),
    ],
)
def test_what_is_no_chart_is_not_pushed(arguments: list[str], says: str, files: Path, tools: dict[str, str]) -> None:
    path = f"{Path(tools['helm']).parent}{os.pathsep}{os.environ['PATH']}"
    done = chandlery("push", *(each if each.startswith("--") else files / each for each in arguments), PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_helm_a_folder_says_what_is_missing(files: Path) -> None:
    done = chandlery("push", files / "empty", PATH="/nowhere")
    assert "is packed by helm, which is not on PATH" in done.stderr


def test_without_nats_it_says_so(files: Path) -> None:
    url = f"nats://127.0.0.1:{free_port()}"
    done = chandlery("push", files / "hello.tgz", url=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == f"error: there is no NATS at {url}: is the stack up (`make up`)? For another one, set NATS_URL\n"
    )


def test_the_local_stack_is_found(tmp_path: Path) -> None:
    (tmp_path / "nats").write_text("nats://127.0.0.1:7\n")
    assert nats_url({"LOCAL": str(tmp_path)}) == "nats://127.0.0.1:7"
    assert nats_url({"LOCAL": str(tmp_path), "NATS_URL": "nats://a"}) == "nats://a"
    assert nats_url({"LOCAL": str(tmp_path / "none")}) == NATS
