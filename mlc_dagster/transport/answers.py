"""What an answer holds, and the failure of one that is not what its vendor documents."""

from typing import Any

import requests

from mlc_dagster.transport.errors import CallFailed
from mlc_dagster.transport.session import decimal_json, request_id, without_echo


def json_object(vendor: str, response: requests.Response, *, check: str) -> dict[str, Any]:
    """An answer as a JSON object, its numbers exact. Raises CallFailed, as `broken` words it."""
    try:
        data = decimal_json(response.text)
    except ValueError:
        raise broken(vendor, response, "it is no JSON", check=check) from None
    if not isinstance(data, dict):
        raise broken(vendor, response, "it is no JSON object", check=check)
    return data


def broken(vendor: str, response: requests.Response, why: str, *, check: str) -> CallFailed:
    """The failure of an answer that breaks its vendor's contract. check: the setting to look at first."""
    return CallFailed(
        vendor,
        response.request.method or "",
        response.request.path_url,
        status=response.status_code,
        request_id=request_id(response),
        excerpt_text=f"{why}: {without_echo(response.text, response)}",
        remedy=f"The answer is not what {vendor} documents. Check {check}; report it if it stays.",
    )
