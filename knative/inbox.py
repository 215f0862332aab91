"""What a NATS message asks for, and of whom it comes. Pure: a message in, the event that goes to the Broker out.

Whoever may publish on `chandlery.in.NAME.>` is Consumer NAME, and on `chandlery.in.provider:NAME.>` Provider NAME:
NATS's permissions say who may. A dot in a name stands as `_` in a subject, which no name holds.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudevents.http import CloudEvent, from_http
from pydantic import ValidationError

from events.base import event_id
from events.requests import InstanceCancelled, InstanceOrdered, Message, Request, UsageReported
from shared.errors import Refused
from shared.function import envelope_of

SOURCE = "/chandlery/nats_source"
PREFIX = "chandlery.in."
PROVIDER = "provider:"
ANSWERS = "chandlery.out.request.answered"
LARGEST = 256 * 1024
LONGEST = 1000
ACCEPTED: dict[str, type[Request]] = {
    model.type: model for model in (InstanceOrdered, InstanceCancelled, UsageReported)
}

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_REPLY = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")


@dataclass(frozen=True)
class Wanted:
    event: CloudEvent
    lane: tuple[str, ...]
    """Of two messages about the same thing the earlier goes first."""


def sender_of(subject: str) -> str:
    token = subject.removeprefix(PREFIX).split(".")[0] if subject.startswith(PREFIX) else ""
    kind = "provider" if token.startswith(PROVIDER) else "consumer"
    name = token.removeprefix(PROVIDER).replace("_", ".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise Refused("NoSender", f"subject: {subject} names no sender; publish on {PREFIX}NAME.requests")
    return f"{kind}/{name}"


def token_of(sender: str) -> str:
    """The other way round: the part of the subject that stands for a sender."""
    kind, _, name = sender.partition("/")
    return (PROVIDER if kind == "provider" else "") + name.replace(".", "_")


def read(subject: str, headers: Mapping[str, str] | None, data: bytes, position: int) -> Wanted:
    """Raises Refused with what is wrong with it."""
    sender = sender_of(subject)
    if len(data) > LARGEST:
        raise Refused("TooLarge", f"data: {len(data)} bytes; at most {LARGEST} are taken")
    outer = envelope(headers or {}, data)
    model = ACCEPTED.get(str(outer["type"]))
    if model is None:
        raise Refused("UnknownType", f"type: {outer['type']!r:.200} is not taken; one of {', '.join(sorted(ACCEPTED))}")
    message = Message(id=outer["id"], source=outer["source"], position=position)
    event = parsed(model, outer.data).model_copy(update={"sender": sender, "message": message})
    if event.reply is not None:
        check_reply(event.reply, sender)
    identity = event_id("nats_source", sender, message.source, message.id)
    return Wanted(envelope_of(event, SOURCE, identity, sender=sender), (sender, event.namespace, event.name))


def envelope(headers: Mapping[str, str], data: bytes) -> CloudEvent:
    """In binary mode where there are `ce-` headers, else structured, whether or not a header says so."""
    lowered = {name.lower(): value for name, value in headers.items()}
    if "ce-datacontenttype" in lowered:
        lowered["content-type"] = lowered["ce-datacontenttype"]
    if "ce-specversion" not in lowered:
        lowered = {"content-type": "application/cloudevents+json"}
    try:
        found = from_http(lowered, data)
        for name in ("id", "source", "type"):
            if not isinstance(found[name], str) or len(found[name]) > LONGEST:
                raise ValueError(f"{name}: not a text of at most {LONGEST} characters")
        return found
    except Exception as error:  # cloudevents raises a family of its own; JSON may be too deep, or no UTF-8
        raise Refused("NoCloudEvent", f"not a CloudEvent: {str(error)[:500]}") from error


def parsed(model: type[Request], data: Any) -> Request:
    try:
        json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
        event = model.model_validate(data)
        event.model_dump(mode="json")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "data"
        raise Refused("Malformed", f"data: {field}: {first['msg']}"[:1000]) from error
    except (ValueError, RecursionError) as error:
        raise Refused("Malformed", f"data: not what JSON can hold: {str(error)[:500]}") from error
    return event


def check_reply(reply: str, sender: str) -> None:
    """An answer goes nowhere where it could be taken for something else."""
    own = f"{ANSWERS}.{token_of(sender)}"
    allowed = reply.startswith("_INBOX.") or reply == own or reply.startswith(f"{own}.")
    if not (allowed and _REPLY.fullmatch(reply)):
        raise Refused("ReplyNotAllowed", f"data: reply: {reply!r:.200}: only _INBOX.… and {own} are answered on")


def dead_letter_headers(headers: Mapping[str, str] | None, subject: str, no: Refused) -> dict[str, str]:
    """As it came, and why it went no further."""
    told = {"reason": no.reason, "message": no.message, "subject": subject}
    ours = {f"Chandlery-{name.title()}": _one_line(value) for name, value in told.items()}
    kept = {name: value for name, value in (headers or {}).items() if not name.lower().startswith("nats-")}
    return {**kept, **ours}


def _one_line(value: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", value)[:1000]
