"""Fetch a chart's archive from where an Offering says it is: bounded, verified, with credentials for its host only.

What is wrong with the source is Refused; what is only away is RetryLater.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import aiohttp
from yarl import URL

from shared import folder, oci, repository
from shared.archive import COMPRESSED_LIMIT, PROV_LIMIT
from shared.charts import digest_of
from shared.credentials import Credentials, credentials
from shared.download import Client, Request, check_scheme
from shared.errors import Refused, RetryLater
from shared.offering import ChartSource, Verify
from shared.provenance import COSIGN, KEYRING, SIGN_PGP, Evidence

PATIENCE = 120.0

Origin = URL | oci.Reference | repository.Entry | Path


@dataclass(frozen=True)
class Fetched:
    archive: bytes
    evidence: Evidence
    """Not verified yet; only what spec.chart.verify asks for."""


def origin_of(source: ChartSource) -> Origin:
    """What the fields of spec.chart mean together; a Path is below the folder for charts."""
    check_verify(source)
    given = [name for name in ("url", "repository", "archive") if getattr(source, name)]
    if len(given) != 1:
        said = f"{' and '.join(given)} are given" if given else "nothing is given"
        raise Refused("InvalidSource", f"spec.chart: {said}; give one of url, repository (with name) or archive")
    if source.archive:
        raise Refused("UnsupportedSource", "spec.chart.archive: names a chart that is pushed, not fetched")
    if source.repository:
        if not source.name:
            raise Refused(
                "InvalidSource", "spec.chart.name: is missing; which chart of spec.chart.repository is meant?"
            )
        return repository.Entry(_url(source.repository, "spec.chart.repository"), source.name, source.version)
    url = source.url or ""
    if source.name:
        raise Refused("InvalidSource", "spec.chart.name: goes with repository; spec.chart.url names the chart itself")
    if url.startswith("oci://"):
        return oci.parse(url, "spec.chart.url", source.version)
    if source.version:
        raise Refused("InvalidSource", "spec.chart.version: goes with repository or an oci:// URL; leave it out here")
    return _file(url) if url.startswith("file:") else _url(url, "spec.chart.url")


def check_verify(source: ChartSource) -> None:
    """Whether what is asked for can be had from this kind of source."""
    if source.verify is None:
        return
    if not (source.verify.keyring or source.verify.cosign):
        raise Refused("InvalidSource", "spec.chart.verify: names no key; give keyring, or cosign, or both")
    if source.verify.cosign and not (source.repository or (source.url or "").startswith("oci://")):
        raise _only_oci("this source is none")


def _only_oci(why: str) -> Refused:
    return Refused(
        "InvalidSource", f"{COSIGN}: signs OCI artifacts, and {why}; give an oci:// URL, or use keyring with a .prov"
    )


def _file(url: str) -> Path:
    path = unquote(url.removeprefix("file://"))
    if not path.startswith("/") or "\0" in path:
        raise Refused("InvalidSource", "spec.chart.url: write file:///path, with three slashes")
    return Path(path)


def _url(text: str, field: str) -> URL:
    try:
        url = URL(text)
        url.origin()
    except ValueError as error:
        raise Refused(
            "InvalidSource", f"{field}: is not a URL such as https://charts.example.com/x-1.0.0.tgz"
        ) from error
    if url.user is not None or url.password is not None:
        fix = "put them into a Secret and name it in spec.chart.auth.secretRef"
        raise Refused("InvalidSource", f"{field}: holds user or password; {fix}")
    check_scheme(url, f"{field}: ")
    return url


def host_of(origin: Origin) -> str:
    """Whose credentials are asked for."""
    if isinstance(origin, oci.Reference):
        return origin.host
    if isinstance(origin, Path):
        return ""
    url = origin.repository if isinstance(origin, repository.Entry) else origin
    return f"{url.host}:{url.explicit_port}" if url.explicit_port else str(url.host)


async def fetch(source: ChartSource, known: Credentials | None, session: aiohttp.ClientSession) -> Fetched:
    origin = origin_of(source)
    shown = known or Credentials()
    try:
        async with asyncio.timeout(PATIENCE):
            fetched = await _fetch(origin, shown, Client.of(session, shown), source.verify or Verify())
    except TimeoutError as error:
        raise RetryLater(f"spec.chart: not there after {PATIENCE:.0f} s", after=60) from error
    if source.digest and digest_of(fetched.archive) != source.digest:
        fix = "correct the digest, or find out who changed the chart"
        raise Refused("DigestMismatch", f"spec.chart.digest: the chart fetched is {digest_of(fetched.archive)}; {fix}")
    return fetched


async def _fetch(origin: Origin, known: Credentials, client: Client, verify: Verify) -> Fetched:
    if isinstance(origin, Path):
        return await _local(origin, verify)
    if isinstance(origin, oci.Reference):
        return Fetched(*await oci.pull(origin, client, known, verify))
    if isinstance(origin, repository.Entry):
        return await _from_repository(origin, known, client, verify)
    return await _from_web(origin, known.authorization, client, verify)


async def _from_web(url: URL, authorization: str, client: Client, verify: Verify) -> Fetched:
    archive = await client.get(Request(url, COMPRESSED_LIMIT, authorization))
    if not verify.keyring:
        return Fetched(archive, Evidence())
    beside = url.with_path(url.raw_path + ".prov", encoded=True, keep_query=True)
    return Fetched(archive, Evidence(prov=await client.find(Request(beside, PROV_LIMIT, authorization))))


async def _local(path: Path, verify: Verify) -> Fetched:
    if os.environ.get("CHANDLERY_FILE_CHARTS") != "1":
        fix = "put the chart on a server or push it"
        raise Refused("UnsupportedSource", f"spec.chart.url: file:// is for a stack on one machine only; {fix}")
    root = Path(os.environ.get("CHANDLERY_FILE_ROOT", "/"))
    try:
        archive = await asyncio.to_thread(folder.read, root, str(path))
        prov = await asyncio.to_thread(_prov_beside, root, path) if verify.keyring else None
    except OSError as error:
        raise Refused("ChartNotFound", f"spec.chart.url: {path} can't be read ({error.strerror})") from error
    return Fetched(archive, Evidence(prov=prov))


def _prov_beside(root: Path, path: Path) -> bytes | None:
    if (root / str(path).lstrip("/")).is_dir():
        fix = f"pack it, {SIGN_PGP}, and name the archive"
        raise Refused("SignatureMissing", f"{KEYRING}: spec.chart.url is a folder, and only archives are signed; {fix}")
    return folder.beside(root, f"{path}.prov", PROV_LIMIT)


async def _from_repository(entry: repository.Entry, known: Credentials, client: Client, verify: Verify) -> Fetched:
    """The index may send anywhere; who is not the repository is told no credentials."""
    index = await client.get(Request(entry.index, repository.INDEX_LIMIT, known.authorization))
    found = await repository.locate(index, entry)
    if found.startswith("oci://"):
        reference = oci.parse(found, "the repository's index", entry.version)
        trusted = known if reference.host == host_of(entry) else Credentials()
        return Fetched(*await oci.pull(reference, client, trusted, verify))
    if verify.cosign:
        raise _only_oci(f"the repository keeps {entry.name} elsewhere")
    try:
        url = entry.index.join(URL(found)).with_user(None)
    except ValueError as error:
        raise Refused("ChartNotFound", f"spec.chart: the repository names no URL for {entry.name}") from error
    check_scheme(url, "the repository's index names ")
    same = url.origin() == entry.repository.origin()
    return await _from_web(url, known.authorization if same else "", client, verify)


class Fetcher:
    """A process' one session for fetching."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    async def open(cls) -> Self:
        """Proxies are used as the environment says; cookies are not kept."""
        return cls(aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()))

    async def close(self) -> None:
        await self._session.close()

    async def fetch(self, source: ChartSource, secret_data: dict[str, str] | None) -> Fetched:
        known = credentials(secret_data, host_of(origin_of(source))) if secret_data is not None else None
        return await fetch(source, known, self._session)
