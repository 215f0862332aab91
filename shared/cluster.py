"""The Kubernetes API: the few calls we make, over kubernetes.aio's session, TLS and credentials.

The client's generated models and its dynamic client are left out: they look up the API's discovery documents and walk
each body twice, and a server-side apply of a plain mapping needs neither.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from shared import tracing
from shared.errors import ApiError, Busy, Conflict, Gone, Invalid, NotFound, RetryLater
from shared.resources import SERVICE_ACCOUNTS, Resource

Object = dict[str, Any]

ERRORS: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict, 410: Gone, 422: Invalid}
TOKEN_REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
CACHED = {"resourceVersion": "0"}
LINE_LIMIT = 1024 * 1024
UNTYPED = re.compile(r"failed to create typed patch object \(.*?\): (?:errors:\n\s*)?\.([^:\s]+): ([^\n]*)")
METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"


class Cluster:
    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    async def open(cls, kubeconfig: str | None = None) -> Self:
        """As the kubeconfig says (by default $KUBECONFIG), or as the pod's service account."""
        configuration = client.Configuration()
        if kubeconfig or "KUBECONFIG" in os.environ or "KUBERNETES_SERVICE_HOST" not in os.environ:
            named = {"config_file": kubeconfig} if kubeconfig else {}
            await config.load_config(client_configuration=configuration, **named)
        else:
            config.load_incluster_config(configuration)
        configuration.connection_pool_maxsize = 0  # aiohttp's word for no limit: what runs at once is bounded elsewhere
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        await self._api.close()

    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        cached: bool = False,
        impersonate: str | None = None,
    ) -> Object | None:
        """None when the object is not there. A kind that is not there is an error: absence of proof is no proof.

        `cached` may be a moment old, and costs the API server less.
        """
        try:
            query = CACHED if cached else {}
            return await self._request("GET", resource.path(namespace, name), query, impersonate=impersonate)
        except NotFound as missing:
            if missing.of_object:
                return None
            raise

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        cached: bool = False,
        impersonate: str | None = None,
    ) -> Object:
        """The whole collection; `cached` may be a moment old, and costs the API server less."""
        query = CACHED if cached else {}
        if labels:
            query = query | {"labelSelector": selector(labels)}
        accept = metadata_only and "List"
        found = await self._request("GET", resource.path(namespace), query, accept=accept, impersonate=impersonate)
        return {**found, "items": found.get("items") or []}  # an empty list of metadata has null for items

    @property
    def server(self) -> str:
        """The API server's URL as we know it."""
        return str(self._api.configuration.host)

    async def token(self, account: str, namespace: str, spec: Object) -> Object:
        """Of a service account (TokenRequest); whoever gets it keeps it to himself."""
        path = SERVICE_ACCOUNTS.path(namespace, account, "token")
        return await self._request("POST", path, body={**TOKEN_REQUEST, "spec": spec})

    async def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """Conflict when it is there already. With `dry_run` all is checked, and nothing made."""
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        query = {"dryRun": "All"} if dry_run else {}
        return await self._request("POST", resource.path(body["metadata"].get("namespace")), query, body=typed)

    async def apply(
        self, resource: Resource, body: Object, manager: str, *, force: bool = True, impersonate: str | None = None
    ) -> Object:
        """Server-side apply of an object; the manager owns exactly the fields that stand in `body`."""
        return await self._apply(resource, body, manager, force, impersonate=impersonate)

    async def apply_status(self, resource: Resource, body: Object, manager: str) -> Object:
        return await self._apply(resource, body, manager, force=True, subresource="status")

    async def patch(
        self, resource: Resource, name: str, operations: Iterable[Object], namespace: str | None = None
    ) -> Object:
        """JSON Patch; a `test` operation that fails is Invalid."""
        path = resource.path(namespace, name)
        return await self._request("PATCH", path, body=[*operations], content_type="application/json-patch+json")

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        preconditions: Object | None = None,
        impersonate: str | None = None,
    ) -> bool:
        """False when it was gone already."""
        body = {"preconditions": preconditions, "propagationPolicy": "Background"}
        try:
            await self._request("DELETE", resource.path(namespace, name), body=body, impersonate=impersonate)
        except NotFound:
            return False
        return True

    async def document(self, path: str, media: str = "application/json") -> Object:
        """What the API server answers on a path of its own, such as /version."""
        return await self._request("GET", path, media=media)

    async def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What the API server answers on a path of its own, such as /metrics."""
        async with self.lines(path, query) as lines:
            return "".join([line async for line in lines])

    @asynccontextmanager
    async def lines(
        self, path: str, query: Mapping[str, str] | None = None, *, silence: float | None = 30
    ) -> AsyncIterator[AsyncIterator[str]]:
        """The same as it comes; `silence` None waits for more for ever, as who follows a log does."""
        url, headers = await self._prepare(path, query)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=silence)
        try:
            response = await self._api.call_api(
                "GET", url, header_params=headers | {"Accept": "*/*"}, _request_timeout=timeout
            )
            try:
                if response.status >= 400:
                    raise_for(response.status, await response.read())
                yield _lines(response.response.content)
            finally:
                response.response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"the API server can't be reached: {error!r}") from error

    async def read(self, path: str, seconds: float, most: int) -> bytes:
        """What somebody behind the API server's proxy answers: at most so long and so many bytes, or RetryLater."""
        url, headers = await self._prepare(path, None)
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            response = await self._api.call_api(
                "GET", url, header_params=headers | {"Accept": "*/*"}, _request_timeout=timeout
            )
            try:
                data = await _at_most(response.response.content, most)
            finally:
                response.response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"{path} can't be read: {error!r}") from error
        if response.status >= 400:
            raise_for(response.status, data)
        return data

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        resource_version: str,
        *,
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[AsyncIterator[tuple[str, Object]]]:
        """Changes since `resource_version` as (ADDED | MODIFIED | DELETED | BOOKMARK, object).

        Ends when the API server ends it; raises Gone when the version is too old.
        """
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        if labels:
            query["labelSelector"] = selector(labels)
        if fields:
            query["fieldSelector"] = selector(fields)
        url, headers = await self._prepare(resource.path(), query, accept=metadata_only and "")
        # The API server sends a bookmark about once a minute: a longer silence is a dead connection.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=150)
        try:
            response = await self._api.call_api("GET", url, header_params=headers, _request_timeout=timeout)
            try:
                if response.status >= 400:
                    raise_for(response.status, await response.read())
                yield _changes(response.response.content)
            finally:
                response.response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"the API server can't be reached: {error!r}") from error

    async def _apply(
        self,
        resource: Resource,
        body: Object,
        manager: str,
        force: bool,
        subresource: str | None = None,
        impersonate: str | None = None,
    ) -> Object:
        metadata = body["metadata"]
        return await self._request(
            "PATCH",
            resource.path(metadata.get("namespace"), metadata["name"], subresource),
            {"fieldManager": f"chandlery-{manager}", "force": str(force).lower()},
            body=yaml_of({"apiVersion": resource.api_version, "kind": resource.kind, **body}),
            content_type="application/apply-patch+yaml; charset=utf-8",  # else the client writes JSON of its own
            impersonate=impersonate,
        )

    async def _prepare(
        self, path: str, query: Mapping[str, str] | None, accept: str | bool | None = None
    ) -> tuple[str, dict[str, str]]:
        headers = {"Accept": METADATA.format(accept) if isinstance(accept, str) else "application/json"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], None, None, None)
        url = self._api.configuration.host + path
        return (f"{url}?{urlencode(query)}" if query else url), headers

    async def _request(  # the one place where a call is made and its errors are named
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str | bool | None = None,
        impersonate: str | None = None,
        media: str | None = None,
    ) -> Object:
        url, headers = await self._prepare(path, query, accept)
        headers |= {"Accept": media} if media else {}
        headers["Content-Type"] = content_type
        if impersonate:
            headers["Impersonate-User"] = impersonate
        try:
            with tracing.writing(method, path):
                response = await self._api.call_api(method, url, header_params=headers, body=body, _request_timeout=30)
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLater(f"the API server can't be reached: {error!r}") from error
        if response.status >= 400:
            raise_for(response.status, data)
        return json.loads(data)


def yaml_of(body: Object) -> str:
    """JSON that is YAML as well: there, what lies beyond 16 bits must not be written as two surrogates."""
    return re.sub(r"[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(body, ensure_ascii=False))


def raise_for(status: int, data: bytes) -> None:
    """The API server's Status object as one of our errors."""
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {"message": data.decode(errors="replace")[:500]}
    message = answer.get("message", f"HTTP {status}")
    if status == 500 and (untyped := UNTYPED.search(message)):  # what an apply gets for a body that breaks the schema
        cause = {"field": untyped[1], "message": untyped[2]}
        raise Invalid(422, "Invalid", message, {"causes": [cause]})
    if status == 429:
        raise Busy(f"the API server answered {status}: {message}")
    if status in (500, 502, 503, 504):
        raise RetryLater(f"the API server answered {status}: {message}")
    raise ERRORS.get(status, ApiError)(status, answer.get("reason", ""), message, answer.get("details"))


def selector(wanted: Mapping[str, str]) -> str:
    """A label or field selector; an empty value asks only that the label is there."""
    return ",".join(f"{key}={value}" if value else key for key, value in wanted.items())


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Of any length: a line that is too long for a buffer comes in pieces."""
    rest = b""
    async for part in content.iter_any():
        *whole, rest = (rest + part).splitlines(keepends=True) or [b""]
        if rest.endswith(b"\n") or len(rest) > LINE_LIMIT:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


async def _at_most(content: aiohttp.StreamReader, most: int) -> bytes:
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > most:
            raise RetryLater(f"the answer is longer than {most} bytes")
    return bytes(data)


async def _changes(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Object]]:
    async for line in content:
        change = json.loads(line)
        if change["type"] == "ERROR":
            raise_for(change["object"].get("code", 500), json.dumps(change["object"]).encode())
        yield change["type"], change["object"]
