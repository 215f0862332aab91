"""What stands in the way of a chart or an instance, one by one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """`message` names field, cause and fix."""

    reason: str
    message: str
