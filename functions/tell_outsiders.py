"""Publish for outside systems what happened inside, and answer what they asked."""

from cloudevents.conversion import to_structured
from cloudevents.http import CloudEvent

from events.instances import InstanceDegraded, InstanceReady, InstanceRefused
from events.releases import ReleaseRemoved
from events.requests import RequestAnswered
from events.usage import UsageRecorded
from shared.function import function
from shared.publisher import Publisher

Told = InstanceReady | InstanceDegraded | InstanceRefused | ReleaseRemoved | UsageRecorded | RequestAnswered

OUT = "chandlery.out."


def subject_of(kind: str) -> str:
    """`dev.chandlery.instance.ready.v1` is told on `chandlery.out.instance.ready`."""
    return OUT + kind.removeprefix("dev.chandlery.").rpartition(".v")[0]


def outside(envelope: CloudEvent) -> tuple[dict[str, str], bytes]:
    """The event as it stands inside, with its id: whoever gets it twice can tell."""
    headers, body = to_structured(envelope)
    return {"content-type": "application/cloudevents+json", "Nats-Msg-Id": envelope["id"]} | headers, body


async def tell_outsiders(event: Told, envelope: CloudEvent, publisher: Publisher) -> None:
    headers, body = outside(envelope)
    await publisher.publish(subject_of(event.type), body, headers)
    if isinstance(event, RequestAnswered) and event.reply:
        if event.reply.startswith(OUT):
            own = headers | {"Nats-Msg-Id": f"{envelope['id']}-reply"}
            await publisher.publish(event.reply, body, own)
        else:
            await publisher.say(event.reply, body, headers)


main = function(tell_outsiders, Publisher, enveloped=True)
