"""Conditions as Kubernetes means them: a list-map by type, each owned and written by one function."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

MESSAGE_LIMIT = 4096


class Condition(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""

    @property
    def true(self) -> bool:
        return self.status == "True"

    def says_the_same(self, other: "Condition | None") -> bool:
        return other is not None and self.model_dump(exclude={"last_transition_time"}) == other.model_dump(
            exclude={"last_transition_time"}
        )

    def after(self, earlier: "Condition | None") -> dict[str, Any]:
        """For the API: the transition time moves only when the status does."""
        kept = earlier is not None and earlier.status == self.status and earlier.last_transition_time
        moment = kept or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.model_copy(update={"last_transition_time": moment}).model_dump(by_alias=True)


def condition(kind: str, status: bool | None, reason: str, message: str, generation: int) -> Condition:
    """`status` None is Unknown: still under way."""
    said: Literal["True", "False", "Unknown"] = "Unknown" if status is None else "True" if status else "False"
    return Condition(
        type=kind, status=said, reason=reason, message=message[:MESSAGE_LIMIT], observed_generation=generation
    )


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((found for found in conditions if found.type == kind), None)
