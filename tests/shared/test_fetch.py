"""Charts from files, web servers, repositories and registries: real ones, on loopback."""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from shared import download, fetch, oci, repository
from shared.charts import digest_of
from shared.credentials import Credentials
from shared.errors import Refused, RetryLater
from shared.offering import ChartSource
from shared.provenance import Evidence
from tests.ports import free_port
from tests.shared.archives import CHART, chart
from tests.shared.servers import Certificate, helm_push, running
from tests.shared.web import Site, guarded, says, site

ARCHIVE = chart()
LOGIN = Credentials("me", "hidden")
BASIC = "Basic " + base64.b64encode(b"me:hidden").decode()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("tls"))


async def refused(source: ChartSource, session: aiohttp.ClientSession, known: Credentials | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        await fetch.fetch(source, known, session)
    assert "hidden" not in caught.value.message
    return caught.value


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        pytest.param({"url": "https://a.io/x.tgz"}, URL("https://a.io/x.tgz"), id="https"),
        pytest.param({"url": "http://localhost:8/x.tgz"}, URL("http://localhost:8/x.tgz"), id="http on loopback"),
        pytest.param({"url": "file:///a%20b/c"}, Path("/a b/c"), id="file"),
        pytest.param({"url": "oci://a.io/b/c:1.0+x"}, oci.Reference("a.io", "b/c", "1.0_x"), id="oci"),
        pytest.param({"url": "oci://a.io/c", "version": "1"}, oci.Reference("a.io", "c", "1"), id="oci and version"),
        pytest.param({"url": f"oci://a.io/c@{DIGEST}"}, oci.Reference("a.io", "c", "", DIGEST), id="oci by digest"),
        pytest.param(
            {"repository": "https://a.io/r/", "name": "x", "version": "1"},
            repository.Entry(URL("https://a.io/r/"), "x", "1"),
            id="repository",
        ),
    ],
)
def test_a_source_means_one_place(source: dict[str, str], origin: fetch.Origin) -> None:
    assert fetch.origin_of(ChartSource.model_validate(source)) == origin


@pytest.mark.parametrize(
    ("source", "reason", "says"),
    [
        pytest.param({}, "InvalidSource", "spec.chart: nothing is given; give one of", id="nothing"),
        pytest.param({"url": "a", "repository": "b"}, "InvalidSource", "url and repository are given", id="two"),
        pytest.param({"archive": DIGEST}, "UnsupportedSource", "spec.chart.archive", id="pushed"),
        pytest.param({"repository": "https://a.io"}, "InvalidSource", "spec.chart.name: is missing", id="no name"),
        pytest.param({"url": "https://a.io", "name": "x"}, "InvalidSource", "spec.chart.name: goes with", id="name"),
        pytest.param(
            {"url": "https://a.io", "version": "1"}, "InvalidSource", "spec.chart.version: goes", id="version"
        ),
        pytest.param(
            {"url": "oci://a.io/x"}, "InvalidSource", "says no version; write oci://a.io/x:1.2.3", id="no tag"
        ),
        pytest.param(
            {"url": "oci://a.io/x", "version": "^1"}, "InvalidSource", "only a repository takes ranges", id="oci range"
        ),
        pytest.param({"url": "https://a.io/x", "verify": {}}, "InvalidSource", "verify: names no key", id="no key"),
        pytest.param(
            {"url": "https://a.io/x", "verify": {"cosign": {"secretRef": {"name": "k"}}}},
            "InvalidSource",
            "spec.chart.verify.cosign: signs OCI artifacts",
            id="cosign for a web address",
        ),
        pytest.param({"url": "oci://u:hidden@a.io/x:1"}, "InvalidSource", "without user or password", id="oci user"),
        pytest.param({"url": "https://u:hidden@a.io/x"}, "InvalidSource", "holds user or password", id="user"),
        pytest.param({"url": "http://a.io/x"}, "UnsupportedSource", "only https is allowed", id="plain http"),
        pytest.param({"url": "http://127.0.0.1.a.io/x"}, "UnsupportedSource", "only https", id="not quite loopback"),
        pytest.param({"url": "ftp://a.io/x?hidden"}, "UnsupportedSource", "only https is allowed", id="ftp"),
        pytest.param({"url": "charts/x"}, "InvalidSource", "spec.chart.url: is not a URL", id="no URL"),
        pytest.param({"url": "https://[::1"}, "InvalidSource", "spec.chart.url: is not a URL", id="broken URL"),
        pytest.param({"url": "file://etc/x"}, "InvalidSource", "with three slashes", id="two slashes"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(source: dict[str, Any], reason: str, says: str) -> None:
    with pytest.raises(Refused) as caught:
        fetch.origin_of(ChartSource.model_validate(source))
    assert caught.value.reason == reason
    assert says in caught.value.message
    assert "hidden" not in caught.value.message


async def test_a_chart_comes_over_http_as_it_is(session: aiohttp.ClientSession) -> None:
    async with site(a__tgz=says(Content_Encoding="gzip")) as served:
        source = ChartSource(url=f"{served.url}/a.tgz", digest=digest_of(ARCHIVE))
        assert (await fetch.fetch(source, None, session)).archive == ARCHIVE


async def test_another_digest_is_refused(session: aiohttp.ClientSession) -> None:
    async with site(a__tgz=says()) as served:
        caught = await refused(ChartSource(url=f"{served.url}/a.tgz", digest=DIGEST), session)
    assert caught.reason == "DigestMismatch"
    assert digest_of(ARCHIVE) in caught.message


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "Unauthorized"), (403, "Unauthorized"), (404, "ChartNotFound"), (400, "ChartNotFound")]
)
async def test_an_answer_that_stays_is_refused(status: int, reason: str, session: aiohttp.ClientSession) -> None:
    async with site(a__tgz=says(status=status)) as served:
        caught = await refused(ChartSource(url=f"{served.url}/a.tgz?key=hidden"), session)
    assert caught.reason == reason
    assert f"{served.url}/a.tgz: answers {status}" in caught.message


@pytest.mark.parametrize(("status", "after"), [(429, 7), (500, 10), (503, 7)])
async def test_an_answer_that_may_change_is_for_later(
    status: int, after: float, session: aiohttp.ClientSession
) -> None:
    headers = {"Retry_After": "7"} if after == 7 else {}
    async with site(a__tgz=says(status=status, **headers)) as served:
        with pytest.raises(RetryLater) as caught:
            await fetch.fetch(ChartSource(url=f"{served.url}/a.tgz"), None, session)
    assert caught.value.after == after


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/a.tgz", "https://nowhere.invalid/a.tgz?key=hidden"])
async def test_a_server_that_is_away_is_for_later(url: str, session: aiohttp.ClientSession) -> None:
    with pytest.raises(RetryLater) as caught:
        await fetch.fetch(ChartSource(url=url.format(port=free_port())), None, session)
    assert "hidden" not in str(caught.value)


async def test_a_connection_that_breaks_off_is_for_later(session: aiohttp.ClientSession) -> None:
    async def breaks(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport
        request.transport.abort()
        return response

    async with site(a__tgz=breaks) as web_site:
        with pytest.raises(RetryLater):
            await fetch.fetch(ChartSource(url=f"{web_site.url}/a.tgz"), None, session)


async def test_a_server_that_never_ends_is_for_later(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    forever = asyncio.Event()

    async def waits(_request: web.Request) -> web.StreamResponse:
        await forever.wait()
        return web.Response()

    monkeypatch.setattr(fetch, "PATIENCE", 0.2)
    async with site(a__tgz=waits) as web_site:
        with pytest.raises(RetryLater, match="not there after"):
            await fetch.fetch(ChartSource(url=f"{web_site.url}/a.tgz"), None, session)
        forever.set()


async def test_too_much_is_refused_whether_announced_or_not(session: aiohttp.ClientSession) -> None:
    big = b"x" * (20 * 1024 * 1024 + 1)

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(big), 1 << 20):
            await response.write(big[start : start + (1 << 20)])
        return response

    async with site(said=says(big), unsaid=streamed) as web_site:
        for path in ("said", "unsaid"):
            caught = await refused(ChartSource(url=f"{web_site.url}/{path}"), session)
            assert caught.reason == "ArchiveTooLarge"
            assert caught.message.endswith("has more than 20480 KiB")


async def test_redirects_are_followed_with_credentials_for_the_first_host_only(session: aiohttp.ClientSession) -> None:
    async with site(b__tgz=says()) as other, site(a=says(status=302, Location="/a2")) as first:
        first.routes["/a2"] = says(status=307, Location=f"{other.url}/b.tgz?sig=hidden")
        assert (await fetch.fetch(ChartSource(url=f"{first.url}/a"), LOGIN, session)).archive == ARCHIVE
    assert first.asked == [("/a", BASIC), ("/a2", BASIC)]
    assert other.asked == [("/b.tgz", None)]


async def test_redirects_end(session: aiohttp.ClientSession) -> None:
    async with site(a=says(status=301, Location="/a")) as web_site:
        caught = await refused(ChartSource(url=f"{web_site.url}/a"), session)
    assert caught.reason == "TooManyRedirects"
    assert len(web_site.asked) == 6


@pytest.mark.parametrize("target", ["http://192.0.2.1/x?hidden", "ftp://127.0.0.1/x", "file:///etc/passwd"])
async def test_redirects_to_what_is_not_allowed_are_refused(target: str, session: aiohttp.ClientSession) -> None:
    async with site(a=says(status=302, Location=target)) as web_site:
        assert (await refused(ChartSource(url=f"{web_site.url}/a"), session)).reason == "UnsupportedSource"


async def test_https_is_trusted_by_its_ca_and_never_left(
    session: aiohttp.ClientSession, certificate: Certificate
) -> None:
    async with site(b__tgz=says()) as plain:
        routes = {"a__tgz": says(), "down": says(status=302, Location=f"{plain.url}/b.tgz")}
        async with site(certificate.serving(), **routes) as safe:
            source = ChartSource(url=f"{safe.url}/a.tgz")
            untrusted = await refused(source, session)
            assert untrusted.reason == "UntrustedServer"
            assert "put the certificate of its CA into key ca.crt" in untrusted.message
            known = Credentials("me", "hidden", ca=certificate.ca)
            assert (await fetch.fetch(source, known, session)).archive == ARCHIVE
            down = await refused(ChartSource(url=f"{safe.url}/down"), session, known)
    assert "redirects from https to http" in down.message
    assert plain.asked == []


INDEX = """
apiVersion: v1
entries:
  other: []
  hello:
  - {version: 2.0.0-rc.1, urls: [rc.tgz]}
  - version: 1.10.0
    urls:
    - charts/new.tgz
  - {version: 1.9.0, urls: ["%s/old.tgz"]}
  - {version: 0.1.0, urls: []}
  beta: [{version: 1.0.0-b, urls: [x]}]
"""


async def test_a_repository_names_exact_and_newest_versions(session: aiohttp.ClientSession) -> None:
    async with site(old__tgz=says(b"old")) as other:
        index = guarded(says(INDEX % other.url), BASIC)
        async with site() as charts:
            charts.routes = {"/r/index.yaml": index, "/r/charts/new.tgz": guarded(says(b"new"), BASIC)}
            found = {
                version: (
                    await fetch.fetch(
                        ChartSource(repository=f"{charts.url}/r", name="hello", version=version), LOGIN, session
                    )
                ).archive
                for version in (None, "1.10.0", "1.9.0")
            }
            wrong = {
                (name, version): await refused(
                    ChartSource(repository=f"{charts.url}/r/", name=name, version=version), session, LOGIN
                )
                for name, version in (("hello", "3.0.0"), ("nope", None), ("beta", None), ("hello", "0.1.0"))
            }
    assert found == {None: b"new", "1.10.0": b"new", "1.9.0": b"old"}
    assert other.asked == [("/old.tgz", None)]
    assert {caught.reason for caught in wrong.values()} == {"ChartNotFound"}
    assert [caught.message for caught in wrong.values()] == [
        "spec.chart.version: there is no version 3.0.0; hello has 2.0.0-rc.1, 1.10.0, 1.9.0, 0.1.0",
        "spec.chart.name: the repository has no chart nope",
        "spec.chart.version: beta has only pre-releases; choose one: 1.0.0-b",
        "spec.chart: the repository names no URL for hello 0.1.0",
    ]


@pytest.mark.parametrize(
    ("version", "found"), [("^1.9", b"new"), ("~1.9", b"old"), (">=1 <1.10", b"old"), ("1.x", b"new"), ("", b"new")]
)
async def test_a_repository_takes_ranges(version: str, found: bytes, session: aiohttp.ClientSession) -> None:
    async with site() as charts:
        charts.routes = {"/index.yaml": says(INDEX % charts.url), "/charts/new.tgz": says(b"new")}
        charts.routes["/old.tgz"] = says(b"old")
        source = ChartSource(repository=charts.url, name="hello", version=version)
        assert (await fetch.fetch(source, None, session)).archive == found


async def test_what_is_neither_version_nor_range_is_refused(session: aiohttp.ClientSession) -> None:
    async with site(index__yaml=says(INDEX % "")) as charts:
        caught = await refused(ChartSource(repository=charts.url, name="hello", version="newest"), session)
    assert (caught.reason, caught.message) == (
        "InvalidSource",
        "spec.chart.version: 'newest' is no version; write 1.2.3, or a range such as ^1.2, ~1.2.3, 1.x or >=1.2 <2",
    )


async def test_an_index_that_is_too_large_is_refused(session: aiohttp.ClientSession) -> None:
    async with site(index__yaml=says(b"#" * (repository.INDEX_LIMIT + 1))) as charts:
        caught = await refused(ChartSource(repository=charts.url, name="hello"), session)
    assert caught.reason == "ArchiveTooLarge"
    assert caught.message == f"{charts.url}/index.yaml: has more than 32768 KiB"


@pytest.mark.parametrize(
    ("login", "authorization"),
    [
        pytest.param({"username": "me", "password": "hidden"}, BASIC, id="password"),
        pytest.param({"token": "hidden"}, "Bearer hidden", id="token"),
        pytest.param({".dockerconfigjson": '{"auths": {"%s": {"auth": "bWU6aGlkZGVu"}}}'}, BASIC, id="docker"),
    ],
)
async def test_a_secret_opens_a_server_with_a_ca_of_its_own(
    login: dict[str, str], authorization: str, certificate: Certificate
) -> None:
    """By URL and through a repository, .prov included; nobody without the Secret gets in."""
    fetcher = await fetch.Fetcher.open()
    async with site(certificate.serving()) as safe:
        content = {"/index.yaml": b'entries: {x: [{version: 1.0.0, urls: ["a.tgz"]}]}', "/a.tgz": ARCHIVE}
        content["/a.tgz.prov"] = b"signed"
        safe.routes = {path: guarded(says(body), authorization) for path, body in content.items()}
        said = {key: text.replace("%s", URL(safe.url).authority) for key, text in login.items()}
        secret = {key: encoded(text) for key, text in {**said, "ca.crt": certificate.ca}.items()}
        for where in ({"url": f"{safe.url}/a.tgz"}, {"repository": safe.url, "name": "x"}):
            source = ChartSource.model_validate({**where, "verify": {"keyring": {"secretRef": {"name": "k"}}}})
            assert await fetcher.fetch(source, secret) == fetch.Fetched(ARCHIVE, Evidence(prov=b"signed"))
            with pytest.raises(Refused) as caught:
                await fetcher.fetch(source, {"ca.crt": secret["ca.crt"]})
            assert caught.value.reason == "Unauthorized"
    await fetcher.close()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("index", ["", "- a", "entries: 1", "entries: {hello: 1}", "entries: {hello: [1, {}]}", "}"])
async def test_a_repository_without_a_sound_index_is_refused(index: str, session: aiohttp.ClientSession) -> None:
    async with site(index__yaml=says(index)) as web_site:
        caught = await refused(ChartSource(repository=web_site.url, name="hello"), session)
    assert caught.reason in ("ChartNotFound", "InvalidYaml")


async def test_files_are_read_only_where_that_is_allowed(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "hello").mkdir(parents=True)
    (root / "hello/Chart.yaml").write_text(CHART)
    (root / "hello.tgz").write_bytes(ARCHIVE)
    (tmp_path / "outside.tgz").write_bytes(ARCHIVE)
    (root / "link.tgz").symlink_to(tmp_path / "outside.tgz")
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe")
    monkeypatch.setenv("CHANDLERY_FILE_ROOT", str(root))
    monkeypatch.delenv("CHANDLERY_FILE_CHARTS", raising=False)
    closed = await refused(ChartSource(url="file:///hello.tgz"), session)
    assert closed.reason == "UnsupportedSource"

    monkeypatch.setenv("CHANDLERY_FILE_CHARTS", "1")
    assert (await fetch.fetch(ChartSource(url="file:///hello.tgz"), None, session)).archive == ARCHIVE
    assert await fetch.fetch(ChartSource(url="file:///hello"), None, session)
    wrong = ["/../outside.tgz", "/%2e%2e/outside.tgz", "/link.tgz", "/nothing", "/empty", "/pipe"]
    caught = [await refused(ChartSource(url=f"file://{path}"), session) for path in wrong]
    assert [each.reason for each in caught] == ["ChartNotFound"] * 4 + ["NotAChart"] * 2
    assert not any(str(tmp_path) in each.message for each in caught)


@pytest.fixture(scope="session")
def pushed(tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("pushed") / "hello-1.2.3.tgz"
    archive.write_bytes(ARCHIVE)
    return archive


@pytest.fixture(scope="session")
def registry(tools: dict[str, str], pushed: Path) -> Iterator[tuple[str, str]]:
    """Its address, and the digest of the chart that is in it."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with running([tools["registry"], "-listen", address], port):
        yield address, helm_push(tools["helm"], pushed, address, "--plain-http")


async def test_what_helm_pushed_is_fetched(registry: tuple[str, str], session: aiohttp.ClientSession) -> None:
    address, digest = registry
    for reference in ("hello:1.2.3", f"hello@{digest}", f"hello:1.2.3@{digest}"):
        source = ChartSource(url=f"oci://{address}/charts/{reference}", digest=digest_of(ARCHIVE))
        assert (await fetch.fetch(source, None, session)).archive == ARCHIVE


async def test_what_is_not_in_the_registry_is_not_found(
    registry: tuple[str, str], session: aiohttp.ClientSession
) -> None:
    for reference in ("hello:9.9.9", "nope:1.2.3", f"hello@{DIGEST}"):
        caught = await refused(ChartSource(url=f"oci://{registry[0]}/charts/{reference}"), session)
        assert caught.reason == "ChartNotFound"


async def test_a_registry_with_tls_and_a_password(
    tools: dict[str, str], pushed: Path, certificate: Certificate, session: aiohttp.ClientSession
) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [tools["registry"], "-listen", address, "-cert", str(certificate.chain), "-key", str(certificate.key)]
    ca = pushed.parent / "ca.crt"
    ca.write_text(certificate.ca)
    with running(command, port, {"REGISTRY_AUTH": "me:hidden"}):
        helm_push(tools["helm"], pushed, address, "--ca-file", str(ca), "--username", "me", "--password", "hidden")
        source = ChartSource(url=f"oci://{address}/charts/hello:1.2.3")
        right = Credentials("me", "hidden", ca=certificate.ca)
        assert (await fetch.fetch(source, right, session)).archive == ARCHIVE
        for known in (Credentials("me", "wrong", ca=certificate.ca), Credentials(ca=certificate.ca)):
            assert (await refused(source, session, known)).reason == "Unauthorized"


LAYER: dict[str, Any] = {"mediaType": oci.CHART_LAYER, "digest": digest_of(ARCHIVE), "size": len(ARCHIVE)}


def manifest(**layer: object) -> str:
    return json.dumps({"schemaVersion": 2, "layers": [{"mediaType": "other"}, LAYER | layer]})


@asynccontextmanager
async def token_registry(blob: bytes = ARCHIVE, **layer: object) -> AsyncIterator[tuple[Site, Site]]:
    """A registry that wants a token, and who gives tokens for a password."""
    async with site(token=guarded(says('{"token": "t"}'), BASIC)) as tokens, site() as found:
        challenge = f'Bearer realm="{tokens.url}/token",service="s",scope="repository:x:pull"'
        digest = str((LAYER | layer)["digest"])
        found.routes = {
            "/v2/x/manifests/1": guarded(says(manifest(**layer)), "Bearer t", challenge),
            f"/v2/x/blobs/{digest}": guarded(says(status=307, Location=f"{tokens.url}/blob"), "Bearer t", challenge),
        }
        tokens.routes["/blob"] = says(blob)
        yield found, tokens


def reference(found: Site) -> ChartSource:
    return ChartSource(url=f"oci://{URL(found.url).authority}/x:1")


async def test_a_registry_that_wants_a_token_gets_it_and_its_storage_does_not(session: aiohttp.ClientSession) -> None:
    async with token_registry() as (found, tokens):
        assert (await fetch.fetch(reference(found), LOGIN, session)).archive == ARCHIVE
        assert [shown for _, shown in found.asked] == [None, "Bearer t", "Bearer t"]
        assert tokens.asked == [("/token", BASIC), ("/blob", None)]
        assert (await fetch.fetch(reference(found), Credentials(token="t"), session)).archive == ARCHIVE
        assert (await refused(reference(found), session, Credentials("me", "hidden2"))).reason == "Unauthorized"
        assert (await refused(reference(found), session)).reason == "Unauthorized"


@pytest.mark.parametrize(
    ("blob", "layer", "reason"),
    [
        pytest.param(b"other", {}, "DigestMismatch", id="another blob"),
        pytest.param(ARCHIVE, {"size": 3}, "ArchiveTooLarge", id="larger than said"),
        pytest.param(ARCHIVE, {"size": 30 * 1024 * 1024}, "ArchiveTooLarge", id="large"),
        pytest.param(ARCHIVE, {"size": "1"}, "NotAChart", id="size"),
        pytest.param(ARCHIVE, {"digest": "sha256:../../x"}, "NotAChart", id="digest"),
        pytest.param(ARCHIVE, {"mediaType": "image"}, "NotAChart", id="an image"),
    ],
)
async def test_what_a_registry_says_is_checked(
    blob: bytes, layer: dict[str, object], reason: str, session: aiohttp.ClientSession
) -> None:
    async with token_registry(blob, **layer) as (found, _):
        assert (await refused(reference(found), session, LOGIN)).reason == reason


@pytest.mark.parametrize("text", ["", "[]", '{"layers": 1}', '{"layers": [1]}', "[" * 100_000])
async def test_a_registry_that_is_none_is_refused(text: str, session: aiohttp.ClientSession) -> None:
    async with site() as found:
        found.routes["/v2/x/manifests/1"] = says(text)
        assert (await refused(reference(found), session)).reason == "NotAChart"


@pytest.mark.parametrize("realm", ["http://192.0.2.1/token", "", "::", "http://127.0.0.1:1/t"])
def test_a_password_is_sent_only_by_https(realm: str) -> None:
    with pytest.raises(Refused):
        oci.token_url(oci.Challenge("bearer", realm), URL("https://a.io/v2/"))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/t",service="s",scope="a:b"', oci.Challenge("bearer", "https://a/t", "s", "a:b")),
        ('basic realm="r"', oci.Challenge("basic", "r")),
        ("", oci.Challenge("")),
    ],
)
def test_a_challenge_is_understood(header: str, expected: oci.Challenge) -> None:
    assert oci.challenge_of(header) == expected


def test_urls_are_shown_without_what_may_be_secret() -> None:
    shown = download.shown_url(URL("https://user:hidden@a.io:8443/x.tgz?token=hidden#hidden"))
    assert shown == "https://a.io:8443/x.tgz"


@pytest.mark.parametrize("target", ["https://nowhere.invalid", "oci://nowhere.invalid/x:1"])
async def test_a_fetcher_reads_the_secret_for_the_host(target: str) -> None:
    fetcher = await fetch.Fetcher.open()
    with pytest.raises(Refused, match=r"no entry for nowhere\.invalid"):
        docker = base64.b64encode(b'{"auths": {"a.io": {"auth": "bWU6aGlkZGVu"}}}').decode()
        await fetcher.fetch(ChartSource(url=target), {".dockerconfigjson": docker})
    await fetcher.close()
