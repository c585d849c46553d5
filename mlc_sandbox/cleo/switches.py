"""Switches: one per thing that vendors/cleo.md calls unverified, invented or assumed."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

# Every default here is ASSUMED (vendors/cleo.md section 9, points 5 to 7); what has no switch is DOC.
DEFAULTS: dict[str, Any] = {
    # Tokens (section 3)
    "token_seconds": 3600,
    "expires_in": "number",  # number | text | absent
    "refresh_token": False,  # whether one is issued and taken
    "wrong_credentials_status": 401,  # 400 | 401
    "unauthorized_body": "json",  # json | html | empty
    # Harmony resources (section 4)
    "configuration_api": "forbidden",  # forbidden | allowed: what a mailbox account may see
    "etag": True,
    "if_match": "checked",  # ignored | checked | required
    "filter_operators": "eq_sw",  # eq_sw | scim
    "page_size": 100,  # when no count is asked for
    "page_size_most": 1000,
    "filter": "applied",  # applied | ignored, as an unknown parameter
    "total_results": True,  # whether a list tells how many there are
    "read_only_fields": "refused",  # refused | ignored: in a PUT
    "duplicate_alias_status": 409,  # 400 | 409
    # Files over REST (section 6): all of these paths are invented
    "folder_path": "/api/files/{folder}",
    "file_path": "/api/files/{folder}/{name}",
    "upload_method": "POST",  # POST | PUT
    "upload_form": "multipart",  # multipart, to folder_path | raw, to file_path
    "upload_field": "file",
    "upload_status": 201,  # 200 | 201 | 202
    "upload_folder": "upload",
    "download_folder": "download",
    "upload_bytes": 0,  # largest file; 0 is no limit
    "same_name": "overwrite",  # overwrite | refused: a name that was ever used
    "download_deletes": False,
    "calls_per_minute": 0,  # 0 is no limit
    "jobs_path": "/api/jobs",
    # VersaLex commands (section 6)
    "versalex_path": "/server",
    "versalex_list": "names",  # names | unix
    # How CIC takes files up
    "pickup_seconds": 0,
    "pickup_on": "close",  # close | write: of an SFTP upload
    "unfinished_suffix": ".part",
    "after_pickup": "removed",  # removed | kept
    # The partners
    "partner_answer": "accept",  # accept | accept_errors | reject_set | reject_group | silent | late
    "late_hours": 30,
    "ta1_place": "own_file",  # own_file | with_997
    "repeated_interchange": "ta1_025",  # ta1_025 | answer_again: the same bytes once more
    "usage": "T",  # T | P: what ISA15 must say
    "ak102": "as_sent",  # as_sent | padded: GS06 in a 997, with zeros (vendors/x12.md section 9)
    "ak202": "as_sent",  # as_sent | padded: ST02 in a 997, with zeros
    "rejected_group": "bare",  # bare | sets_accepted: AK5 A of each set, beside AK9 R
    # What partners do of themselves while a day passes
    "ships_per_day": 6,
    "supplier_changes_per_day": 3,
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "expires_in": ("number", "text", "absent"),
    "wrong_credentials_status": (400, 401),
    "unauthorized_body": ("json", "html", "empty"),
    "configuration_api": ("forbidden", "allowed"),
    "if_match": ("ignored", "checked", "required"),
    "filter": ("applied", "ignored"),
    "filter_operators": ("eq_sw", "scim"),
    "read_only_fields": ("refused", "ignored"),
    "duplicate_alias_status": (400, 409),
    "upload_method": ("POST", "PUT"),
    "upload_form": ("multipart", "raw"),
    "upload_status": (200, 201, 202),
    "same_name": ("overwrite", "refused"),
    "versalex_list": ("names", "unix"),
    "pickup_on": ("close", "write"),
    "after_pickup": ("removed", "kept"),
    "partner_answer": ("accept", "accept_errors", "reject_set", "reject_group", "silent", "late"),
    "ta1_place": ("own_file", "with_997"),
    "repeated_interchange": ("ta1_025", "answer_again"),
    "usage": ("T", "P"),
    "ak102": ("as_sent", "padded"),
    "ak202": ("as_sent", "padded"),
    "rejected_group": ("bare", "sets_accepted"),
}


class Switches(BaseSwitches):
    """Cleo's switches."""

    defaults, choices = DEFAULTS, CHOICES
