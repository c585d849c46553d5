"""What can go wrong on the way: faults of every vendor, as the sandbox knows them."""

import random
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.prove.worker import READ_TIMEOUT
from tests.prove.world import World


@dataclass(frozen=True)
class Fault:
    """A fault with its parameters. match: the calls it may hit, a regex."""

    vendor: str
    name: str
    params: dict[str, Any]
    match: str | None = None


VENDORS = ("visma", "anaplan", "asana", "cleo", "tableau", "powerbi")


def _faults(vendor: str, *faults: tuple[str, dict[str, Any]] | str) -> list[Fault]:
    return [
        Fault(vendor, fault, {}) if isinstance(fault, str) else Fault(vendor, fault[0], fault[1])
        for fault in faults
    ]


BEFORE, AFTER = ("drop_connection", {"when": "before"}), ("drop_connection", {"when": "after"})
GATEWAY = ("server_error", {"status": 502, "html": True})
# Longer than anybody waits in trouble, and no longer than shows it.
SILENCE = {"seconds": READ_TIMEOUT + 1}
STALLED = (
    ("stall", {**SILENCE, "when": "before"}),
    ("stall", SILENCE),
    ("stall", {**SILENCE, "half": True}),
    ("trickle", {"seconds": 3}),
)
# Interchanges only: a supplier's file with its content twice is none that can be read.
REWRITTEN = Fault("cleo", "rewritten_file", {}, match=r"READ .*\.edi$")
FAULTS = [
    *[fault for vendor in VENDORS for fault in _faults(vendor, *STALLED)],
    REWRITTEN,
    *_faults("visma", BEFORE, AFTER, GATEWAY, ("server_error", {"status": 500}), ("slow", {"seconds": 1})),
    *_faults("visma", ("rate_limit_lockout", {"retry_after": 600}), "truncated_body", "invalid_json"),
    *_faults("visma", "token_expired", ("token_error", {"status": 503}), "unauthorized", "empty_list"),
    *_faults(
        "visma", ("drift", {"restamp": 2, "insert": 1, "delete": 0}), "restamp_all", "changed_meanwhile"
    ),
    *_faults("visma", ("late_commit", {"seconds": 60})),
    *_faults("anaplan", BEFORE, AFTER, GATEWAY, ("server_error", {"status": 503})),
    *_faults("anaplan", ("rate_limit", {"retry_after": 90})),
    *_faults("anaplan", "token_expired", "bare_task_id", ("slow_model", {"polls": 3}), "task_cancelled"),
    *_faults("anaplan", "import_fails_whole", "file_gone", "file_overwritten", "dump_missing"),
    *_faults("anaplan", "complete_500", ("http_status", {"status": 423}), "extra_fields"),
    *_faults("asana", BEFORE, AFTER, ("lost_answer", {"seconds": 2}), ("rate_limit", {"retry_after": 90})),
    *_faults(
        "asana", ("late_commit", {"seconds": 30, "answer_seconds": 1}), "partial_batch", "double_create"
    ),
    *_faults(
        "asana", ("server_error", {"status": 500, "committed": True}), ("server_error", {"status": 502})
    ),
    *_faults("asana", ("slow", {"seconds": 1}), "event_lost", "token_expired", "unauthorized"),
    *_faults("cleo", BEFORE, AFTER, ("server_error", {"when": "after"}), ("rate_limit", {"retry_after": 90})),
    *_faults("cleo", GATEWAY, ("server_error", {}), "unauthorized", "same_isa13", "several_in_one_file"),
    *_faults("cleo", "token_expired", "token_error", "flow_fails", "ghost_file", "page_shift", "bom", "crlf"),
    *_faults("cleo", "offered_twice", "partial_file", "two_files", "odd_name", ("slow", {"seconds": 1})),
    *_faults("tableau", BEFORE, AFTER, GATEWAY, ("rate_limit", {"seconds": 90}), "token_expired"),
    *_faults("tableau", ("slow", {"seconds": 1})),
    *_faults("tableau", ("late_call", {"seconds": 60}), ("job_ends", {"code": 1}), "job_unknown"),
    *_faults("tableau", ("job_stuck", {"seconds": 600}), "upload_lost", ("job_ends", {"applied": True})),
    *_faults("powerbi", BEFORE, AFTER, GATEWAY, ("rate_limit", {"retry_after": 90}), "token_expired"),
    *_faults("powerbi", ("late_post", {"seconds": 60, "answer": 504}), "partial_apply", "token_error"),
    *_faults("powerbi", ("late_delete", {"seconds": 60, "answer": "drop"}), ("slow", {"seconds": 1})),
]


def arm(world: World, chance: random.Random) -> Counter[str]:
    """Arm one of them, at one of the coming calls; how often it may happen, by its name."""
    fault = chance.choice(FAULTS)
    times, after = chance.randint(1, 3), chance.choice([0, 1, 2, 5, 10, 20])
    body = {**asdict(fault), "times": times, "after": after}
    world.control("POST", "/control/faults", body)
    return Counter({f"{fault.vendor} {fault.name}": times})


def disarm(world: World) -> Counter[str]:
    """Take all away; how often each could still have happened, by its name."""
    left: Counter[str] = Counter()
    for fault in world.control("GET", "/control/faults"):
        left[f"{fault['vendor']} {fault['name']}"] += fault["left"]
    world.control("DELETE", "/control/faults")
    return left


def heal(world: World) -> None:
    """Nothing goes wrong any more, and what was late arrives."""
    world.control("DELETE", "/control/faults")
    world.control("PATCH", "/anaplan/control/model", {"active_state": "UNLOCKED"})
    world.advance(4000)
    for vendor in ("asana", "cleo", "tableau", "powerbi"):
        world.control("POST", f"/{vendor}/control/release")
