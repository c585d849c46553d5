"""Switches: one per open question about Tableau, the limits, and what tests want different."""

from __future__ import annotations

from typing import Any

from mlc_sandbox.switches import BaseSwitches

# "open" marks what vendors/tableau.md says nobody could verify: the default is our assumption.
DEFAULTS: dict[str, Any] = {
    "rest_version": "3.29",
    # Sign-in and sessions (section 2)
    "session_minutes": 120,  # 120 on Cloud, 240 on Server
    "session_ends": "idle",  # idle | absolute; open
    "pat_unused_days": 15,
    "password_sign_in": True,  # False: Cloud with MFA takes tokens only
    "jwt_replay": "refused",  # refused | allowed: a jti that was used; open
    "jwt_webhooks": False,  # whether webhook methods work under a JWT; open
    "scope_refusal": 401002,  # 401002 | 403004: a scope the JWT lacks; open
    "list_sites": False,  # False: 403069, as on Cloud; open
    # Publishing (section 5)
    "project_names": "per_parent",  # per_parent | per_site: where a project's name is unique; open
    "overwrite_keeps_id": True,  # open
    "overwrite_describes": True,  # whether an overwrite's description takes the old one's place; open
    "replace_mode": "ignored",  # ignored | overwrite: what ?replace=true means; open
    "upload_reuse": "refused",  # refused | allowed: a second commit of one upload session; open
    "upload_hours": 24,  # life of an upload session; open
    "datasource_type": "hyper",  # the `type` of a published .hyper; open
    "download_as": "tdsx",  # tdsx | hyper: what .../content answers for a published .hyper
    "index_lag_lists": 0,  # lists that do not show a new data source yet
    # Data updates (section 6)
    "column_matching": "name",  # name | position; open
    "unknown_column": "fails",  # fails | ignored: a source column the target has not; open
    "missing_column": "null",  # null | fails: a target column the source has not; open
    "duplicate_source_keys": "as_sql",  # as_sql | fails: update keeps one row, insert all; open
    "null_keys": "never_equal",  # never_equal | equal; open
    "more_operators": False,  # neq, lte, gt, or, not besides and, eq, lt, gte; open
    "actions_atomic": True,  # False: what ran before the action that failed stays; open
    "duplicate_request": "original_job",  # original_job | empty_job: the answer to a known RequestID; open
    "failed_request_blocks": True,  # whether the key of a failed job counts as used; open
    "request_hours": 24,  # how long a RequestID is remembered
    "one_update_at_a_time": False,  # True: an update while another is queued is 409093; open
    # Jobs (section 7)
    "job_seconds": 0,  # until a job runs
    "job_polls": 1,  # reads that still show it running once it has run
    "success_code": 0,  # 0 | 3: both mean success
    # Refreshes (section 8)
    "refresh_of_hyper": "job_fails",  # job_fails | refused (400000); open
    # Webhooks (section 10)
    "webhook_scheme": "https",  # https | any: http for receivers on this machine
    "webhook_attempts": 4,  # the first and three more
    "webhook_retry_seconds": 0.0,  # before the first repetition; doubles
    "webhook_disable_after": 0,  # failed deliveries in a row; 0 never; open
    "update_fires_event": False,  # whether a data update is a DatasourceUpdated; open
    "flow_events": True,  # whether a webhook may be made for flow-completed; open
    "refresh_event_resource": "EXTRACTS",  # EXTRACTS | DATASOURCE
    # Limits (section 12); 0 switches one off, `limits` all of them. Windows roll.
    "limits": True,
    "storage_mb": 1024 * 1024,  # of a site
    "hour_seconds": 3600,
    "calls_per_hour": 40_000,
    "content_per_hour": 600,  # publish and update content
    "refreshes_per_hour": 60,
    "throttle_text": "minutes",  # minutes | none: whether the text of a 429 says how long; none is open
    "retry_after_header": False,  # whether a 429 carries Retry-After; open
    "single_request_mb": 64,
    "chunk_mb": 64,
}

CHOICES: dict[str, tuple[Any, ...]] = {
    "session_ends": ("idle", "absolute"),
    "jwt_replay": ("refused", "allowed"),
    "scope_refusal": (401002, 403004),
    "project_names": ("per_parent", "per_site"),
    "replace_mode": ("ignored", "overwrite"),
    "upload_reuse": ("refused", "allowed"),
    "download_as": ("tdsx", "hyper"),
    "column_matching": ("name", "position"),
    "unknown_column": ("fails", "ignored"),
    "missing_column": ("null", "fails"),
    "duplicate_source_keys": ("as_sql", "fails"),
    "null_keys": ("never_equal", "equal"),
    "duplicate_request": ("original_job", "empty_job"),
    "success_code": (0, 3),
    "refresh_of_hyper": ("job_fails", "refused"),
    "webhook_scheme": ("https", "any"),
    "refresh_event_resource": ("EXTRACTS", "DATASOURCE"),
    "throttle_text": ("minutes", "none"),
}


class Switches(BaseSwitches):
    """Tableau's switches."""

    defaults, choices = DEFAULTS, CHOICES
