"""Switches: one per open question about Anaplan, and for what tests want different, with our default."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

# Defaults marked "assumption" are ours: vendors/anaplan.md marks the fact as not verified.
DEFAULTS: dict[str, Any] = {
    # Authentication
    "token_minutes": 35,
    "refresh_value": "same",  # same | new: what POST /token/refresh does to tokenValue
    "certificate_v1": True,  # False: v1 logins are refused
    "certificate_clock_tolerance": 300,  # seconds between the v2 prefix and our clock; assumption
    "certificate_needs_ca": True,
    "sso": False,  # True: Basic only for exception users, no device flow
    "oauth_rotation": True,
    "oauth_refresh_seconds": 43_000,
    "oauth_repeats_token": True,  # without rotation: answers repeat the refresh token; assumption
    "device_auto_approve": True,
    # Times on the wire (expiresAt, creationTime): real, as the client's own clock; or the sandbox clock
    "wire_time": "real",
    # Requests a minute per tenant, 0 = off, counted on real or sandbox time
    "rate_per_minute": 600,
    "rate_clock": "real",
    "retry_after": "seconds",  # seconds | http-date | absent
    # Tasks: done once both its polls and its seconds have passed
    "task_start_polls": 0,
    "task_start_seconds": 0,
    "task_polls": 2,
    "task_seconds": 0,
    "task_privacy": True,  # a user sees his own tasks only; assumption
    "task_list_order": "newest",  # newest | oldest; assumption
    "bare_task_id": False,
    "process_stops_at_failure": True,  # assumption
    "cancel_rolls_back": True,
    "dump_hours": 48,
    "dump_chunk_bytes": 10_000_000,
    "dump_line": "physical",  # physical | record: what _Line_ counts when a text holds line ends; assumption
    # Files
    "file_hours": 48,
    "export_chunk_bytes": 10_000_000,
    # as_sent | packed | resliced | packed_resliced: the chunks of an upload when read; assumption
    "upload_returns": "as_sent",
    # Imports
    "header_check": "exact",  # exact | name | position: columns at run time; assumption
    "empty_cells": "keep",  # keep | clear: an empty cell of a module import; assumption
    "bad_cell": "reject_row",  # reject_row (E) | warn (W: the row's other cells load); assumption
    "text_collision": "last",  # last | first: text cells when rows collide; assumption
    "code_matching": "exact",  # exact | folded (trimmed, case-folded); assumption
    "clear_items": "product",  # product | rows: what clearing the mapped items of several dimensions empties
    # Small writes
    "blank_cell_write": "clears",  # clears | refuses: "" for a cell that holds no text; assumption
    "busy_hangs_ms": 0,  # how long a small write or a read of cells hangs in a busy model, at most
    # Answers
    "extra_fields": False,
}

CHOICES: dict[str, tuple[str, ...]] = {
    "refresh_value": ("same", "new"),
    "wire_time": ("real", "sandbox"),
    "rate_clock": ("real", "sandbox"),
    "retry_after": ("seconds", "http-date", "absent"),
    "task_list_order": ("newest", "oldest"),
    "dump_line": ("physical", "record"),
    "upload_returns": ("as_sent", "packed", "resliced", "packed_resliced"),
    "header_check": ("exact", "name", "position"),
    "empty_cells": ("keep", "clear"),
    "bad_cell": ("reject_row", "warn"),
    "text_collision": ("last", "first"),
    "code_matching": ("exact", "folded"),
    "clear_items": ("product", "rows"),
    "blank_cell_write": ("clears", "refuses"),
}


class Switches(BaseSwitches):
    """Anaplan's switches."""

    defaults, choices = DEFAULTS, CHOICES
