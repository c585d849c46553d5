"""One request to a control API, the sandbox's own or a vendor's, and the route it comes by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox.core import JsonResponse


@dataclass(frozen=True)
class Asked:
    """Path parameters, query parameters, and the bytes of the body."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    content: bytes

    @cached_property
    def body(self) -> Any:
        """The body as JSON, its numbers exact; None without one."""
        return json.loads(self.content, parse_float=Decimal) if self.content else None


# Answers with JSON values, or with a response of its own.
Handler = Callable[[Asked], Any]


def control_route(
    method: str, path: str, handler: Handler, *, refusals: tuple[type[Exception], ...] = ()
) -> Route:
    """A route that needs no token. What a handler does not find (KeyError) is 404, other mistakes are 400.

    `refusals`: further errors of the vendor's that say what is wrong.
    """

    async def endpoint(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, await request.body())
        try:
            answer = await run_in_threadpool(handler, asked)
        except KeyError as error:
            return JsonResponse({"error": f"Not found or missing: {error.args[0]}"}, 404)
        except (ValueError, TypeError, re.error, *refusals) as error:
            return JsonResponse({"error": str(error)}, 400)
        return answer if isinstance(answer, Response) else JsonResponse(answer)

    return Route(path, endpoint, methods=[method])
