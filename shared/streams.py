"""The JetStream streams and consumers that are declared, made and brought up to date: knative/base/streams.yaml."""

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from shared.errors import RetryLater
from shared.nats_client import Unfit

FILE = Path(__file__).parent.parent / "knative/base/streams.yaml"
IN, OUT, DEAD = "chandlery-in", "chandlery-out", "chandlery-dead"


class Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Durable(Declared):
    """A consumer that NATS remembers, shared by all processes that pull from it."""

    name: str
    ack_seconds: int = Field(30, ge=2)
    max_in_flight: int = Field(256, ge=1)


class Stream(Declared):
    name: str
    description: str = ""
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue", "interest"] = "limits"
    discard: Literal["old", "new"] = "old"
    max_bytes: int = Field(-1, ge=-1)
    max_age_seconds: int = Field(0, ge=0, description="0: no limit")
    max_message_bytes: int = Field(-1, ge=-1)
    dedupe_seconds: int = Field(120, ge=1)
    replicas: int = Field(1, ge=1, le=5)
    consumers: tuple[Durable, ...] = ()


class Streams(Declared):
    streams: tuple[Stream, ...]

    def stream(self, name: str) -> Stream:
        for each in self.streams:
            if each.name == name:
                return each
        raise Unfit(f"streams.yaml: there is no stream {name}; put it back")


def declared(path: Path | None = None) -> Streams:
    """As $CHANDLERY_STREAMS says (in a cluster the mounted ConfigMap's key), or the repository's own."""
    where = path or Path(os.environ.get("CHANDLERY_STREAMS") or FILE)
    try:
        found = yaml.safe_load(where.read_text())
        if isinstance(found, dict) and found.get("kind") == "ConfigMap":
            found = yaml.safe_load(found["data"]["streams.yaml"])
        return Streams.model_validate(found)
    except (OSError, yaml.YAMLError, KeyError) as error:
        raise Unfit(f"{where} can't be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Unfit(f"{where}: {field}: {first['msg']}") from error


def stream_config(stream: Stream) -> api.StreamConfig:
    return api.StreamConfig(
        name=stream.name,
        description=stream.description or None,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy(stream.retention),
        discard=api.DiscardPolicy(stream.discard),
        max_bytes=stream.max_bytes,
        max_age=stream.max_age_seconds,
        max_msg_size=stream.max_message_bytes,
        duplicate_window=stream.dedupe_seconds,
        num_replicas=stream.replicas,
        storage=api.StorageType.FILE,
    )


def consumer_config(durable: Durable) -> api.ConsumerConfig:
    """Without a limit of tries: at the last one NATS would drop the message and tell nobody."""
    return api.ConsumerConfig(
        durable_name=durable.name,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=durable.ack_seconds,
        max_ack_pending=durable.max_in_flight,
        max_deliver=-1,
    )


def differing(there: Any, wanted: Any) -> list[str]:
    """The fields that stand otherwise than declared; what is not declared may stand as it likes."""
    fields = {name: value for name, value in vars(wanted).items() if value is not None}
    return sorted(name for name, value in fields.items() if (getattr(there, name, None) or 0) != (value or 0))


async def ensure(stream: JetStreamContext, wanted: Stream) -> None:
    """Idempotent, and several may do it at once. Raises Unfit when NATS refuses what is declared."""
    config = stream_config(wanted)
    try:
        try:
            there = (await stream.stream_info(wanted.name)).config
            changing = differing(there, config)
            if changing:
                await stream.update_stream(config)
        except NotFoundError:
            changing = ["all of it"]
            await stream.add_stream(config)
    except ServiceUnavailableError as error:
        raise RetryLater(f"NATS has no JetStream now: {error.description}", after=2) from error
    except APIError as error:
        fix = f"undo that in streams.yaml, or, when nothing in it is needed, delete the stream {wanted.name} in NATS"
        told = f"NATS refuses to set {', '.join(changing)}: {error.description}"
        raise Unfit(f"stream {wanted.name}: {told}; {fix}") from error
    for durable in wanted.consumers:
        await _ensure_consumer(stream, wanted.name, durable)


async def _ensure_consumer(stream: JetStreamContext, name: str, durable: Durable) -> None:
    config = consumer_config(durable)
    try:
        there = (await stream.consumer_info(name, durable.name)).config
        if not differing(there, config):
            return
    except NotFoundError:
        pass
    try:
        await stream.add_consumer(name, config)
    except APIError as error:
        fix = f"delete the consumer in NATS; what it has not acknowledged stays in {name}"
        raise Unfit(f"consumer {durable.name} of stream {name}: NATS refuses it: {error.description}; {fix}") from error
