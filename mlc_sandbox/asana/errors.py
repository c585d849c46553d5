"""How Asana refuses: the texts of vendors/asana.md section 11, word for word where they are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

HELP = (
    "For more information on API status codes and how to handle them, read the docs on errors: "
    "https://developers.asana.com/docs/errors"
)
_PHRASE = "18 sad squid snuggle softly"
_TOO_MANY = "You've made too many requests and hit a rate limit. Please retry after the given amount of time."


class ApiError(Exception):
    """Refuse the call with this status and `{"errors": [{"message", "help"}]}`; `more` stands beside it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status, self.message = status, message
        self.headers, self.more = dict(headers or {}), dict(more or {})

    def body(self) -> dict[str, Any]:
        """The JSON of the answer; a 500 has a phrase for Asana's support, a 412 no help."""
        error = {"message": self.message} | ({} if self.status == 412 else {"help": HELP})
        if self.status >= 500:
            error["phrase"] = _PHRASE
        return {"errors": [error], **self.more}


def bad(message: str) -> ApiError:
    """400."""
    return ApiError(400, message)


def missing(field: str) -> ApiError:
    """400 for a field that has to be there."""
    return bad(f"{field}: Missing input")


def unknown(what: str, gid: str) -> ApiError:
    """404 for an object named in the path."""
    return ApiError(404, f"{what}: Unknown object: {gid}")


def no_access(what: str) -> ApiError:
    """403 for an object the user must not see."""
    return ApiError(403, f"You do not have access to this {what}.")


def no_route() -> ApiError:
    """404, also for a wrong method."""
    return ApiError(404, "No matching route for request")


def pay(message: str) -> ApiError:
    """402: the plan does not include it."""
    return ApiError(402, message)


def too_many(seconds: float | None) -> ApiError:
    """429; without seconds there is no Retry-After."""
    headers = {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
    return ApiError(429, _TOO_MANY, headers=headers)
