"""The uncertain facts of the sheet as switches, with the defaults of vendors/visma.md section 14."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

DEFAULTS: dict[str, Any] = {
    "page_cap": 1000,  # rows a page of every paged list
    "page_caps": {"purchaseReceipt": 500},  # exceptions by entity
    "order": "key",  # key | modified | unstable: order of list rows
    "greater_than": "strict",  # strict | inclusive: whether ">" includes equality
    "stamp_form": "none",  # none | z | offset: zone of the system stamps in bodies
    "stamp_digits": 3,  # fraction digits of the system stamps: 0, 2, 3 or 7
    "untyped_address": "any",  # any | main: which types a path with the number alone finds, where it is open
    "company_header": "ignored",  # ignored | required: ipp-company-id
    "error_body": "json",  # json | html | empty: body of errors other than 401 and gateway errors
    "background": "honoured",  # honoured | ignored: the erp-api-background header
    "background_polls": 1,  # state reads that answer Started before a job is Finished
    "rate_limit": 5000,  # calls a window and company and client
    "rate_window_seconds": 3600,
    "token_seconds": 3600,
    "token_secret_status": 401,  # 400 | 401: status of invalid_client
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "order": ("key", "modified", "unstable"),
    "greater_than": ("strict", "inclusive"),
    "stamp_form": ("none", "z", "offset"),
    "stamp_digits": (0, 2, 3, 7),
    "untyped_address": ("any", "main"),
    "company_header": ("ignored", "required"),
    "error_body": ("json", "html", "empty"),
    "background": ("honoured", "ignored"),
    "token_secret_status": (400, 401),
}


class Switches(BaseSwitches):
    """Visma's switches."""

    defaults, choices = DEFAULTS, CHOICES
