"""Switches: one per open question about push datasets, the limits, and what tests want different."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

# "open" marks what vendors/powerbi.md says nobody could verify: the default is our assumption.
DEFAULTS: dict[str, Any] = {
    # Tokens and rights
    "token_minutes_least": 60,
    "token_minutes_most": 90,
    "no_role_face": 401,  # 401 | 403 | 404: a workspace without a role; all three were seen
    "least_write_role": "Contributor",  # Contributor | Member; open
    "permission_seconds": 120,  # from RefreshUserPermissions until a new role works
    # Creating and changing datasets
    "create_status": 201,  # 201 | 202
    "create_polls": 0,  # reads of the list or the dataset before a new one shows
    "create_push": "allowed",  # allowed | deprecated: FeatureDeprecatedError
    "put_breaking_change": "refused",  # refused | applied: columns that go or change type; open
    "put_without_measures": "kept",  # kept | removed; open
    # Rows
    "unknown_column": "refused",  # refused | ignored; open
    "long_string": "refused",  # refused | cut at 4,000 characters; open
    "datetime_offset": "converted",  # converted | dropped; open
    "sequence_numbers": "recorded_only",  # ignored | recorded_only | reject_not_greater; open
    "delete_resets_sequence": False,  # open
    "visible_after_seconds": 2,  # rows show in queries once both have passed
    "visible_after_queries": 0,
    # Queries
    "execute_queries": "allowed",  # allowed | tenant_off | not_for_push; the last is open
    "one_side_duplicates": "allowed",  # allowed | query_error: a key twice on the one side; open
    "over_limit_error_at": "table",  # table | result | response
    # Limits (section 8); 0 switches one off, `limits` all of them. Windows roll.
    "limits": True,
    "minute_seconds": 60,
    "hour_seconds": 3600,
    "post_rows": 10_000,
    "post_bytes": 16 * 1024 * 1024,
    "posts_per_minute": 120,
    "rows_per_hour": 1_000_000,
    "pending_posts": 5,
    "pending_until": "answered",  # answered | visible; open
    "large_table_rows": 250_000,
    "large_table_posts_per_hour": 120,
    "large_table_scope": "dataset",  # dataset | table; open
    "table_rows": 5_000_000,  # with retention None; an error then: open
    "fifo_rows": 200_000,  # with basicFIFO
    "fifo_slack": 10_000,
    "calls_per_minute": 600,  # all REST calls of one caller; the figure is not published
    "queries_per_minute": 120,
    "query_rows": 100_000,
    "query_values": 1_000_000,
    "query_bytes": 15 * 1024 * 1024,
    # Refreshes of the import model
    "dedicated_capacity": False,  # enhanced refresh needs it; without it 8 refreshes a day
    "refreshes_per_day": 8,
    "refresh_quota_status": 429,  # 400 | 429; open
    "refresh_conflict": 400,  # 400 | 409
    "refresh_polls": 1,  # reads that still show it running; both have to pass
    "refresh_seconds": 0,
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "no_role_face": (401, 403, 404),
    "least_write_role": ("Contributor", "Member"),
    "create_status": (201, 202),
    "create_push": ("allowed", "deprecated"),
    "put_breaking_change": ("refused", "applied"),
    "put_without_measures": ("kept", "removed"),
    "unknown_column": ("refused", "ignored"),
    "long_string": ("refused", "cut"),
    "datetime_offset": ("converted", "dropped"),
    "sequence_numbers": ("ignored", "recorded_only", "reject_not_greater"),
    "execute_queries": ("allowed", "tenant_off", "not_for_push"),
    "one_side_duplicates": ("allowed", "query_error"),
    "over_limit_error_at": ("table", "result", "response"),
    "pending_until": ("answered", "visible"),
    "large_table_scope": ("dataset", "table"),
    "refresh_quota_status": (400, 429),
    "refresh_conflict": (400, 409),
}


class Switches(BaseSwitches):
    """Power BI's switches."""

    defaults, choices = DEFAULTS, CHOICES
