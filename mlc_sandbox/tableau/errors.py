"""How the service refuses: an error code of six digits, the first three the HTTP status (section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from mlc_sandbox.tableau.wire import node

# code -> summary, as vendors/tableau.md section 1 lists them.
SUMMARIES: Mapping[int, str] = {
    400000: "Bad Request",
    400006: "Invalid page number",
    400007: "Invalid page size",
    400008: "Invalid parameter",
    400010: "Invalid file type",
    400011: "Publishing failed",
    400016: "Chunk too large",
    400019: "Request payload not empty",
    400020: "File part missing",
    400055: "Invalid parameter combination",
    401000: "Unauthorized Access",
    401001: "Signin Error",
    401002: "Unauthorized Access",
    403004: "Forbidden",
    403007: "Forbidden",
    403032: "Forbidden",
    403008: "Storage quota exceeded",
    403014: "Page size over maximum",
    403069: "Forbidden",
    403070: "Already on this site",
    403091: "Job already finished",
    404000: "Site not found",
    404002: "User not found",
    404003: "Resource Not Found",
    404004: "Data source not found",
    404005: "Project not found",
    404011: "Data source not found",
    404012: "Group not found",
    404015: "Upload session not found",
    404018: "Job not found",
    404026: "Task not found",
    405000: "Invalid request method",
    409000: "User already on site",
    409004: "Invalid schedule",
    409006: "Project name conflict",
    409009: "Group name conflict",
    409011: "User already in group",
    409015: "Data source name conflict",
    409093: "Resource Conflict",
    429000: "Too Many Requests",
}


class ApiError(Exception):
    """Refuse the call with this code."""

    def __init__(self, code: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{code} {detail}")
        self.code, self.detail, self.headers = code, detail, dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status inside the code."""
        return self.code // 1000

    def element(self) -> Element:
        """`<error code><summary/><detail/></error>`."""
        summary = SUMMARIES.get(self.code, "Error")
        return node(
            "error",
            {"code": f"{self.code:06d}"},
            node("summary", text=summary),
            node("detail", text=self.detail),
        )
