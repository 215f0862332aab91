"""The Secrets of a release that its consumer is given."""

from typing import ClassVar

from events.base import InstanceEvent


class ExportsAged(InstanceEvent):
    """It is a while since the copies beside an instance were compared with what they were made from."""

    type: ClassVar[str] = "dev.chandlery.exports.aged.v1"
