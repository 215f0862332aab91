"""What a message asks for: whose it is, what it says, and why not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.requests import InstanceOrdered, Message
from knative import inbox
from shared.errors import Refused

SUBJECT = "chandlery.in.team-a.requests"
DATA: dict[str, Any] = {"offering": "database", "namespace": "team-a", "name": "orders", "spec": {"plan": "small"}}
ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/erp", "type": InstanceOrdered.type}
WANTED = InstanceOrdered(
    sender="consumer/team-a",
    message=Message(id="1", source="/erp", position=7),
    offering="database",
    namespace="team-a",
    name="orders",
    spec={"plan": "small"},
)


def structured(data: Any = DATA, **attributes: Any) -> bytes:
    return json.dumps({**ATTRIBUTES, **attributes, "data": data}).encode()


def refused(subject: str, headers: dict[str, str] | None, data: bytes) -> Refused:
    with pytest.raises(Refused) as no:
        inbox.read(subject, headers, data, 7)
    return no.value


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        (None, structured()),
        ({"content-type": "application/cloudevents+json"}, structured()),
        ({"Content-Type": "application/cloudevents+json; charset=utf-8"}, structured()),
        ({f"ce-{name}": value for name, value in ATTRIBUTES.items()}, json.dumps(DATA).encode()),
        (
            {f"CE-{name.title()}": value for name, value in ATTRIBUTES.items()}
            | {"ce-datacontenttype": "application/json"},
            json.dumps(DATA).encode(),
        ),
    ],
    ids=["no headers", "structured", "structured with a charset", "binary", "binary with a content type"],
)
def test_a_message_is_read_in_either_content_mode(headers: dict[str, str] | None, data: bytes) -> None:
    found = inbox.read(SUBJECT, headers, data, 7)
    assert InstanceOrdered.model_validate(found.event.data) == WANTED
    assert (found.event["type"], found.event["sender"]) == (InstanceOrdered.type, "consumer/team-a")
    assert found.lane == ("consumer/team-a", "team-a", "orders")


def test_who_sent_it_is_what_the_subject_says_whatever_the_message_says() -> None:
    lie = {"sender": "consumer/team-b", "message": {"id": "9", "source": "/x", "position": 99}}
    found = inbox.read(SUBJECT, None, structured(DATA | lie, sender="consumer/team-b"), 7)
    assert InstanceOrdered.model_validate(found.event.data) == WANTED
    assert found.event["sender"] == "consumer/team-a"


def test_the_same_message_has_the_same_id_and_anybody_elses_has_another() -> None:
    same = [inbox.read(SUBJECT, None, structured(), position).event["id"] for position in (7, 8)]
    other = inbox.read("chandlery.in.team-b.x", None, structured(), 7).event["id"]
    assert len({*same}) == 1
    assert other not in same


@pytest.mark.parametrize(
    ("subject", "sender"),
    [
        ("chandlery.in.team-a", "consumer/team-a"),
        ("chandlery.in.team-a.x.y", "consumer/team-a"),
        ("chandlery.in.a_b_c.x", "consumer/a.b.c"),
        ("chandlery.in.provider:acme.x", "provider/acme"),
    ],
)
def test_the_sender_is_a_part_of_the_subject(subject: str, sender: str) -> None:
    assert inbox.sender_of(subject) == sender
    assert subject.split(".")[2] == inbox.token_of(sender)


@pytest.mark.parametrize("subject", ["chandlery.in.", "chandlery.in", "other.team-a.x", "chandlery.in.A/../b.x"])
def test_a_subject_without_a_sender_is_refused(subject: str) -> None:
    assert refused(subject, None, structured()).reason == "NoSender"


@pytest.mark.parametrize(
    ("data", "reason", "says"),
    [
        (b"", "NoCloudEvent", "not a CloudEvent"),
        (b"\xff\xfe", "NoCloudEvent", "not a CloudEvent"),
        (b"[]", "NoCloudEvent", "not a CloudEvent"),
        (b"[" * 100_000, "NoCloudEvent", "not a CloudEvent"),
        (b'{"specversion": "1.0"}', "NoCloudEvent", "not a CloudEvent"),
        (structured(type="dev.chandlery.instance.admitted.v1"), "UnknownType", "type: "),
        (structured(type=["x"]), "NoCloudEvent", "type: "),
        (structured(id=5), "NoCloudEvent", "id: "),
        (structured(source="x" * 2000), "NoCloudEvent", "source: "),
        (structured(DATA | {"namespace": "Team A"}), "Malformed", "namespace"),
        (structured({"namespace": "a", "name": "b"}), "Malformed", "offering"),
        (structured("words"), "Malformed", "data"),
        (structured(None), "Malformed", "data"),
        (structured(DATA | {"spec": {"x": float("nan")}}), "Malformed", "JSON"),
        (structured(DATA | {"spec": {"x": "\ud800"}}), "Malformed", "JSON"),
        (structured(DATA | {"reply": "chandlery.out.usage.recorded"}), "ReplyNotAllowed", "reply"),
        (structured(DATA | {"reply": "chandlery.out.request.answered.team-b"}), "ReplyNotAllowed", "reply"),
        (structured(DATA | {"reply": "_INBOX.a b"}), "ReplyNotAllowed", "reply"),
        (structured(DATA | {"reply": "_INBOX.>"}), "ReplyNotAllowed", "reply"),
        (structured(DATA | {"spec": {"x": "x" * inbox.LARGEST}}), "TooLarge", "bytes"),
    ],
    ids=str,
)
def test_nonsense_is_refused_with_what_is_wrong(data: bytes, reason: str, says: str) -> None:
    no = refused(SUBJECT, None, data)
    assert no.reason == reason
    assert says in no.message


@pytest.mark.parametrize("reply", ["_INBOX.abc.1", "chandlery.out.request.answered.team-a", None])
def test_answers_go_where_nothing_else_is_told(reply: str | None) -> None:
    found = inbox.read(SUBJECT, None, structured(DATA | {"reply": reply}), 7)
    assert found.event.data["reply"] == reply


@given(
    st.binary(max_size=300), st.dictionaries(st.sampled_from(["ce-type", "ce-specversion", "content-type"]), st.text())
)
def test_no_bytes_and_no_headers_make_it_crash(data: bytes, headers: dict[str, str]) -> None:
    try:
        inbox.read(SUBJECT, headers, data, 1)
    except Refused as no:
        told = inbox.dead_letter_headers(headers, SUBJECT, no)
        assert told["Chandlery-Reason"] == no.reason
        assert "\n" not in told["Chandlery-Message"]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(st.dictionaries(st.sampled_from([*DATA, "reply", "message", "sender", "kind", "api_version"]), json_values))
def test_no_data_makes_it_crash(data: dict[str, Any]) -> None:
    try:
        found = inbox.read(SUBJECT, None, structured(DATA | data), 1)
    except Refused:
        return
    assert found.event.data["sender"] == "consumer/team-a"
