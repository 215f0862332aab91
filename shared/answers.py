"""What a request that came over NATS is answered. Pure."""

import re

from events.requests import Found, Request, RequestAnswered
from shared.errors import Refused

LONGEST = 2000

_FIELD = re.compile(r"([A-Za-z_][\w.\[\]-]*): ")


def accepted(request: Request, reason: str, instance: Found | None) -> RequestAnswered:
    return _answer(request, outcome="accepted", reason=reason, instance=instance)


def refused(request: Request, no: Refused) -> RequestAnswered:
    """A refusal's message begins with the field that it is about."""
    named = _FIELD.match(no.message)
    field = named[1] if named else ""
    return _answer(request, outcome="refused", reason=no.reason, field=field, text=no.message[:LONGEST])


def _answer(request: Request, **told: object) -> RequestAnswered:
    about = {"sender": request.sender, "message": request.message, "reply": request.reply}
    where = {"namespace": request.namespace, "name": request.name}
    return RequestAnswered.model_validate({"request": request.type, **about, **where, **told})
