"""The control API under /control: what happens in the sandbox, on demand. Documented in docs/sandbox.md."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from mlc_sandbox import state
from mlc_sandbox.asked import Asked, Handler, control_route
from mlc_sandbox.echo import NAME as ECHO
from mlc_sandbox.stall import STALL, TRICKLE

if TYPE_CHECKING:
    from mlc_sandbox.server import Sandbox

OF_EVERY_VENDOR = (ECHO, STALL, TRICKLE)


class ControlRoutes:
    """No token is needed: these routes are the sandbox's own. Mistakes are 400 or 404 with `error`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def routes(self) -> list[Route]:
        """All control routes."""
        row = "/visma/{company}/{entity}"
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/state", self._state),
            ("GET", "/clock", self._clock),
            ("POST", "/clock", self._advance),
            ("POST", "/pass-day", self._pass_day),
            ("POST", "/save", self._save),
            ("GET", "/calls", self._calls),
            ("DELETE", "/calls", self._reset_calls),
            ("GET", "/calls/counts", self._counts),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._arm),
            ("DELETE", "/faults", self._clear),
            ("GET", "/switches", self._switches),
            ("PATCH", "/switches/{vendor}", self._set_switches),
            ("GET", row, self._truth),
            ("POST", f"{row}/restamp", self._restamp),
            ("POST", f"{row}/change", self._change),
            ("POST", f"{row}/delete", self._delete),
            ("POST", f"{row}/add", self._add),
            ("POST", f"{row}/renumber", self._renumber),
            ("POST", "/webhooks", self._subscribe),
            ("GET", "/webhooks", self._notified),
            ("POST", "/webhooks/release", self._release),
        )
        return [control_route(method, path, handler) for method, path, handler in handlers]

    def _state(self, asked: Asked) -> Any:  # noqa: ARG002
        return {
            "seed": self.sandbox.seed,
            "now": self.sandbox.clock.now(),
            "url": self.sandbox.url,
            "vendors": {name: dict(vendor.describe()) for name, vendor in self.sandbox.vendors.items()},
            "faults_armed": len(self.sandbox.faults.armed()),
            "calls": self.sandbox.log.count(),
        }

    def _clock(self, asked: Asked) -> Any:  # noqa: ARG002
        clock = self.sandbox.clock
        return {"now": clock.now(), "offset_seconds": clock.offset.total_seconds()}

    def _advance(self, asked: Asked) -> Any:
        self.sandbox.clock.advance(timedelta(seconds=float(asked.body["advance_seconds"])))
        return self._clock(asked)

    def _pass_day(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"happened": self.sandbox.pass_day(), "now": self.sandbox.clock.now()}

    def _save(self, asked: Asked) -> Any:  # noqa: ARG002
        if self.sandbox.state_folder is None:
            raise ValueError("This sandbox was started without --state; there is no folder to save to.")
        return {"saved": str(state.save(self.sandbox, self.sandbox.state_folder))}

    def _calls(self, asked: Asked) -> Any:
        filters = {name: asked.query[name] for name in ("method", "match") if name in asked.query}
        status = int(asked.query["status"]) if "status" in asked.query else None
        calls = self.sandbox.log.calls(asked.query.get("vendor"), status=status, **filters)
        shown = calls[-int(asked.query.get("limit", "1000")) :]
        fields = ("vendor", "method", "path", "status", "at")
        return {
            "total": len(calls),
            "calls": [{name: getattr(call, name) for name in fields} for call in shown],
        }

    def _reset_calls(self, asked: Asked) -> Any:  # noqa: ARG002
        self.sandbox.log.reset()
        return {"total": 0}

    def _counts(self, asked: Asked) -> Any:  # noqa: ARG002
        return self.sandbox.log.counts()

    def _faults(self, asked: Asked) -> Any:  # noqa: ARG002
        return [fault.describe() for fault in self.sandbox.faults.armed()]

    def _arm(self, asked: Asked) -> Any:
        wanted = dict(asked.body)
        vendor, name, params = wanted.pop("vendor"), wanted.pop("name"), wanted.pop("params", {})
        known = getattr(self.sandbox.vendors[vendor], "fault_names", None)
        if known is not None and name not in (*known, *OF_EVERY_VENDOR):
            names = ", ".join((*known, *OF_EVERY_VENDOR))
            raise ValueError(f"{vendor} has no fault {name!r}; there are: {names}.")
        unknown = set(wanted) - {"times", "after", "match", "probability", "seed"}
        if unknown:
            raise ValueError(
                f"Unknown: {', '.join(sorted(unknown))}. What the fault itself takes goes into `params`."
            )
        return self.sandbox.faults.arm(vendor, name, **wanted, **params).describe()

    def _clear(self, asked: Asked) -> Any:
        self.sandbox.faults.clear(asked.query.get("vendor"), asked.query.get("name"))
        return self._faults(asked)

    def _switches(self, asked: Asked) -> Any:  # noqa: ARG002
        return {name: dict(vendor.switches) for name, vendor in self.sandbox.vendors.items()}

    def _set_switches(self, asked: Asked) -> Any:
        switches = self.sandbox.vendors[asked.path["vendor"]].switches
        for name, value in asked.body.items():
            switches[name] = value
        return dict(switches)

    def _truth(self, asked: Asked) -> Any:
        visma = self.sandbox.visma
        rows = visma.truth(asked.path["company"], asked.path["entity"])
        return Response(visma.rows.json(rows), media_type="application/json")

    def _restamp(self, asked: Asked) -> Any:
        keys = (asked.body or {}).get("keys")
        return {"restamped": self.sandbox.visma.restamp(asked.path["company"], asked.path["entity"], keys)}

    def _change(self, asked: Asked) -> Any:
        record = self.sandbox.visma.change(
            asked.path["company"],
            asked.path["entity"],
            asked.body["key"],
            asked.body["fields"],
            days_ago=float(asked.body.get("days_ago", 0)),
        )
        return {"key": record.key, "stamp": record.stamp}

    def _delete(self, asked: Asked) -> Any:
        self.sandbox.visma.delete(asked.path["company"], asked.path["entity"], asked.body["key"])
        return {"deleted": asked.body["key"]}

    def _add(self, asked: Asked) -> Any:
        record = self.sandbox.visma.add(asked.path["company"], asked.path["entity"], self.sandbox.rng)
        return {"key": None if record is None else record.key}

    def _renumber(self, asked: Asked) -> Any:
        place = (asked.path["company"], asked.path["entity"])
        wanted = asked.body["key"], asked.body["number"], asked.body.get("type")
        return {"key": self.sandbox.visma.renumber(*place, *wanted).key}

    def _subscribe(self, asked: Asked) -> Any:
        self.sandbox.visma.webhooks.subscribe(asked.body["url"], asked.body["secret"])
        return {"subscribed": asked.body["url"]}

    def _notified(self, asked: Asked) -> Any:  # noqa: ARG002
        return {"sent": self.sandbox.visma.webhooks.sent()}

    def _release(self, asked: Asked) -> Any:
        self.sandbox.visma.webhooks.release()
        return self._notified(asked)
