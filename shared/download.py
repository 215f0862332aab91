"""HTTP GET from strangers: bounded in size and redirects, and careful with whom credentials are shown to."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address

import aiohttp
from yarl import URL

from shared.credentials import Credentials
from shared.errors import Refused, RetryLater

REDIRECTS = 5
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)  # the whole is bounded by who calls
LONGEST_WAIT = 300.0


@dataclass(frozen=True)
class Request:
    url: URL
    limit: int
    authorization: str = field(default="", repr=False)
    """Sent to the URL's own origin only, never to where it redirects."""
    accept: str = "*/*"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Client:
    """A session and what it trusts."""

    session: aiohttp.ClientSession
    trust: ssl.SSLContext | None = None

    @classmethod
    def of(cls, session: aiohttp.ClientSession, credentials: Credentials) -> "Client":
        return cls(session, credentials.trust())

    async def get(self, request: Request) -> bytes:
        """The body; anything but 200 is an error."""
        return checked(await self.ask(request), request.url)

    async def find(self, request: Request) -> bytes | None:
        """The body, or None where there is nothing."""
        answer = await self.ask(request)
        return None if missing(answer) else checked(answer, request.url)

    async def ask(self, request: Request) -> Answer:
        """Whatever comes after redirects."""
        url, shown = request.url, request.authorization
        for _ in range(REDIRECTS + 1):
            answer = await self._once(url, request, shown if url.origin() == request.url.origin() else "")
            if answer.status not in (301, 302, 303, 307, 308) or "Location" not in answer.headers:
                return answer
            url = redirected(url, answer.headers["Location"])
        raise Refused("TooManyRedirects", f"{shown_url(request.url)}: redirects more than {REDIRECTS} times")

    async def _once(self, url: URL, request: Request, authorization: str) -> Answer:
        headers = {"Accept": request.accept, "Accept-Encoding": "identity"}
        if authorization:
            headers["Authorization"] = authorization
        try:
            async with self.session.get(
                url,
                headers=headers,
                allow_redirects=False,
                auto_decompress=False,  # a digest is of the bytes as they come, and so is a limit
                timeout=TIMEOUT,
                ssl=self.trust or True,
            ) as response:
                return Answer(response.status, response.headers, await _body(response, request.limit, url))
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            fix = "put the certificate of its CA into key ca.crt of the Secret in spec.chart.auth.secretRef"
            raise Refused("UntrustedServer", f"{shown_url(url)}: TLS fails, {_tls_reason(error)}; {fix}") from error
        except aiohttp.InvalidURL as error:
            raise Refused("InvalidSource", f"{shown_url(url)}: is not a URL") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"{shown_url(url)}: can't be reached ({type(error).__name__})", after=10) from error


async def _body(response: aiohttp.ClientResponse, limit: int, url: URL) -> bytes:
    """Of errors and redirects, nothing is wanted."""
    if response.status != HTTPStatus.OK:
        return b""
    too_large = Refused("ArchiveTooLarge", f"{shown_url(url)}: has more than {limit // 1024} KiB")
    if (response.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def missing(answer: Answer) -> bool:
    return answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def checked(answer: Answer, url: URL) -> bytes:
    check(answer, url)
    return answer.body


def check(answer: Answer, url: URL) -> None:
    where = shown_url(url)
    if answer.status == HTTPStatus.OK:
        return
    if answer.status in (401, 403):
        fix = "check the Secret in spec.chart.auth.secretRef"
        raise Refused("Unauthorized", f"{where}: answers {answer.status}, not allowed; {fix}")
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise RetryLater(f"{where}: answers {answer.status}", after=wait(answer.headers.get("Retry-After", "")))
    raise Refused("ChartNotFound", f"{where}: answers {answer.status}; check the URL and the version")


def wait(retry_after: str) -> float:
    return min(float(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else 10.0


def redirected(url: URL, location: str) -> URL:
    """Where a redirect leads, if it may be followed."""
    try:
        target = url.join(URL(location)).with_user(None)
    except ValueError as error:
        raise Refused("UnsupportedSource", f"{shown_url(url)}: redirects to what is no web address") from error
    if target.scheme == "http" and url.scheme == "https":
        raise Refused("UnsupportedSource", f"{shown_url(url)}: redirects from https to http ({shown_url(target)})")
    check_scheme(target, f"{shown_url(url)}: redirects to ")
    return target


def check_scheme(url: URL, what: str) -> None:
    if url.scheme == "https" and url.host:
        return
    if url.scheme == "http" and loopback(url.host):
        return
    raise Refused("UnsupportedSource", f"{what}{shown_url(url)}: only https is allowed (http on loopback)")


def loopback(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def shown_url(url: URL) -> str:
    """Without what may be a secret: user, password, query, fragment."""
    try:
        return str(url.with_user(None).with_query(None).with_fragment(None)) if url.host else str(url.with_query(None))
    except ValueError:
        return f"{url.scheme}://..."


def _tls_reason(error: aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.__cause__ or error
    return getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or type(cause).__name__
