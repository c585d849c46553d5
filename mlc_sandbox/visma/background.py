"""The background API: requests answered 202 at once and read later (vendors/visma.md section 9)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from mlc_sandbox.core import JsonResponse, SandboxClock
from mlc_sandbox.visma.errors import ApiError
from mlc_sandbox.visma.switches import Switches

_CONTENT_LIFE = timedelta(hours=24)


@dataclass
class Job:
    """One background request with the answer it got."""

    owner: tuple[str, str]  # company, client
    uri: str
    received: datetime
    response: Response
    polls: int


class Background:
    """Keeps jobs. A finished job with status 400 is a failure: the state says Finished all the same."""

    def __init__(self, clock: SandboxClock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self._jobs: dict[str, Job] = {}

    def accept(self, owner: tuple[str, str], uri: str, root: str, response: Response) -> Response:
        """Take over an answer and give 202 with the place of its state."""
        number = str(uuid.uuid4())
        self._jobs[number] = Job(owner, uri, self.clock.wire(), response, self.switches["background_polls"])
        return JsonResponse({"id": number, "stateLocation": f"{root}/v1/background/{number}"}, 202)

    def state(self, number: str, owner: tuple[str, str], root: str) -> Response:
        """GET /v1/background/{id}. Raises ApiError 403 for another owner's job, 404 for an unknown one."""
        job = self._job(number, owner)
        done = job.polls <= 0
        job.polls -= 1
        moment = job.received.isoformat(timespec="milliseconds")
        answer: dict[str, Any] = {
            "id": number,
            "status": "Finished" if done else "Started",
            "statusCode": job.response.status_code if done else 0,
            "receivedUtc": moment,
            "startedUtc": moment,
            "originalUri": job.uri,
            "hasResponseContent": done and bool(job.response.body),
            "hasRequestContent": False,
            "responseHeaders": {},
        }
        if done:
            answer["finishedUtc"] = moment
            answer["contentLocation"] = f"{root}/v1/background/{number}/content"
            answer["responseHeaders"] = {
                name.title(): value
                for name, value in job.response.headers.items()
                if name in {"location", "etag"}
            }
        return JsonResponse(answer)

    def content(self, number: str, owner: tuple[str, str]) -> Response:
        """GET /v1/background/{id}/content. Raises ApiError 410 after 24 hours."""
        job = self._job(number, owner)
        if self.clock.wire() - job.received > _CONTENT_LIFE:
            raise ApiError(410, "The content is no longer available.")
        return Response(job.response.body, media_type="application/json")

    def _job(self, number: str, owner: tuple[str, str]) -> Job:
        job = self._jobs.get(number)
        if job is None:
            raise ApiError(404, "The background request does not exist.")
        if job.owner != owner:
            raise ApiError(403, "The background request was started by another company or client.")
        return job
