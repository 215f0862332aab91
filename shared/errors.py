"""Errors named by what the caller should do."""


class RetryLater(Exception):
    """Not now: something this step needs is busy or away. Nothing is wrong with the request."""

    def __init__(self, why: str, after: float = 1) -> None:
        super().__init__(why)
        self.after = after


class Busy(RetryLater):
    """It was not even begun: the same request will do in a moment, as when a kind is only just being served."""


class Refused(Exception):
    """The request is wrong. `reason` is a condition's CamelCase word; the message names field, cause and fix."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class ApiError(Exception):
    """The API server said no; `status` is HTTP's, `reason` Kubernetes' machine-readable word."""

    def __init__(self, status: int, reason: str, message: str, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}


class NotFound(ApiError):
    """The object or its kind is not there; `of_object` tells which."""

    @property
    def of_object(self) -> bool:
        """Whether the API server knows the kind and misses only the object."""
        return bool(self.details.get("name"))


class Conflict(ApiError):
    """Somebody else changed, owns or made it."""


class Invalid(ApiError):
    """The object breaks its schema or the API server's rules."""


class Gone(ApiError):
    """The resourceVersion is too old to watch from: list again."""
