"""The uncertain facts of the sheet as switches, with the defaults of vendors/visma.md section 14."""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, Any] = {
    "page_cap": 1000,  # rows a page of every paged list
    "page_caps": {"purchaseReceipt": 500},  # exceptions by entity
    "order": "key",  # key | modified | unstable: order of list rows
    "greater_than": "strict",  # strict | inclusive: whether ">" includes equality
    "stamp_form": "none",  # none | z | offset: zone of the system stamps in bodies
    "stamp_digits": 3,  # fraction digits of the system stamps: 0, 2, 3 or 7
    "company_header": "ignored",  # ignored | required: ipp-company-id
    "error_body": "json",  # json | html | empty: body of errors other than 401 and gateway errors
    "background": "honoured",  # honoured | ignored: the erp-api-background header
    "background_polls": 1,  # state reads that answer Started before a job is Finished
    "rate_limit": 5000,  # calls a window and company and client
    "rate_window_seconds": 3600,
    "token_seconds": 3600,
    "token_secret_status": 401,  # 400 | 401: status of invalid_client
}

_CHOICES: dict[str, tuple[Any, ...]] = {
    "order": ("key", "modified", "unstable"),
    "greater_than": ("strict", "inclusive"),
    "stamp_form": ("none", "z", "offset"),
    "stamp_digits": (0, 2, 3, 7),
    "company_header": ("ignored", "required"),
    "error_body": ("json", "html", "empty"),
    "background": ("honoured", "ignored"),
    "token_secret_status": (400, 401),
}


class Switches(dict[str, Any]):
    """The switches of the Visma simulator; refuses unknown names and values."""

    def __init__(self) -> None:
        super().__init__({**DEFAULTS, "page_caps": dict(DEFAULTS["page_caps"])})

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in DEFAULTS:
            raise ValueError(f"Unknown Visma switch {name!r}; there are: {', '.join(sorted(DEFAULTS))}.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"Visma switch {name} cannot be {value!r}; it is one of {_CHOICES[name]}.")
        if name not in _CHOICES and not isinstance(value, type(DEFAULTS[name])):
            raise ValueError(f"Visma switch {name} needs a value such as {DEFAULTS[name]!r}, not {value!r}.")
        super().__setitem__(name, value)

    def update(self, *others: Any, **values: Any) -> None:
        """Set several; each is checked."""
        for name, value in dict(*others, **values).items():
            self[name] = value
