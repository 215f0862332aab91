"""The shell around a function that the API server asks to convert objects: ConversionReview in, ConversionReview out.

It stands on the API server's read path: what it can't answer, nobody can read. What is asked and answered is never
logged, only how much of it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import functions_framework.aio
import structlog
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.errors import ApiError, Refused, RetryLater
from shared.function import probe
from shared.lifetime import opened

CONVERTED = Counter("chandlery_conversions", "Objects converted between versions of their API", ["outcome"])

log = structlog.get_logger()

Objects = list[dict[str, Any]]
Handler = Callable[..., Awaitable[Objects]]


class Asked(BaseModel):
    """The `request` of a ConversionReview, and what the path says it is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    uid: str
    desired: str = Field(alias="desiredAPIVersion")
    objects: Objects
    crd: str
    edition: str


def review(handler: Handler, *clients: type[Any]) -> Callable[[Request], Awaitable[Response]]:
    name = handler.__name__

    async def main(request: Request) -> Response:
        if request.method == "GET":
            return probe(request)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(function=name)
        try:
            asked = await asyncio.to_thread(parse, await request.body(), request.url.path)
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("refused a request that is no ConversionReview")
            return Response(f"{name}: not a ConversionReview\n", 400, media_type="text/plain")
        try:
            converted = await handler(asked, *[await opened(client) for client in clients])
        except (Refused, RetryLater, ApiError) as error:
            log.warning("can't convert", crd=asked.crd, to=asked.desired, objects=len(asked.objects), why=str(error))
            CONVERTED.labels("failed").inc(len(asked.objects))
            return answer(asked, {"status": "Failed", "message": str(error)}, [])
        CONVERTED.labels("done").inc(len(converted))
        return answer(asked, {"status": "Success"}, converted)

    return functions_framework.aio.http(main)


def parse(body: bytes, path: str) -> Asked:
    *_, crd, edition = path.split("/")
    try:
        return Asked.model_validate({**json.loads(body)["request"], "crd": crd, "edition": edition})
    except ValidationError as error:
        raise ValueError("its request is incomplete") from error


def answer(asked: Asked, result: dict[str, str], converted: Objects) -> Response:
    response = {"uid": asked.uid, "result": result, "convertedObjects": converted}
    return JSONResponse({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})
