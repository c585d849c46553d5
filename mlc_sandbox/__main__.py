"""`python -m mlc_sandbox serve`: the sandbox alone, in the foreground."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

from mlc_sandbox import config, state
from mlc_sandbox.server import Sandbox, build, listen, uvicorn_server


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 2 when the port, a company or the saved state cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        sandbox = build(
            seed=options.seed,
            scale=options.scale,
            companies=options.companies,
            days_behind=options.days_behind,
        )
        if options.state is not None:
            sandbox.state_folder = options.state
            resumed = state.load(sandbox, options.state)
            _say(f"State {'taken over from' if resumed else 'will be kept in'} {options.state}")
        listener = listen(options.port)
    except (OSError, ValueError, state.StateUnusable) as error:
        _say(f"The sandbox cannot start: {error}", to_errors=True)
        return 2
    sandbox.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if options.config is not None:
        for file in config.write_config(options.config, sandbox.url, sandbox.vendors.values()):
            _say(f"Wrote {file}")
    _say(f"Sandbox on {sandbox.url} (seed {sandbox.seed}, its time {sandbox.clock.now():%Y-%m-%d %H:%M} UTC)")
    _serve(sandbox, listener)
    return 0


def _serve(sandbox: Sandbox, listener: socket.socket) -> None:
    """uvicorn raises the signal again once it has shut down; these handlers let the state be saved then."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        with sandbox.services():
            uvicorn_server(sandbox.app).run(sockets=[listener])
    finally:
        if sandbox.state_folder is not None:
            _say(f"State saved to {state.save(sandbox, sandbox.state_folder)}")


def _say(text: str, *, to_errors: bool = False) -> None:
    print(text, file=sys.stderr if to_errors else sys.stdout, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mlc_sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser("serve", help="serve the simulated vendors on 127.0.0.1")
    serve.add_argument("--seed", type=int, default=1, help="the same seed gives the same data (default 1)")
    serve.add_argument("--scale", type=float, default=1, help="1 is about 400 supplier invoices a company")
    serve.add_argument("--port", type=int, default=8765, help="0 takes a free one (default 8765)")
    serve.add_argument("--companies", type=_codes, default=("NO01", "SE01", "DK01"), help="such as NO01,SE01")
    serve.add_argument("--config", type=Path, metavar="DIR", help="write mlc.yaml and credentials.env there")
    serve.add_argument("--state", type=Path, metavar="DIR", help="keep the state there over restarts")
    serve.add_argument(
        "--days-behind", type=float, default=1, help="how far the ERP's now starts behind (default 1)"
    )
    return parser


def _codes(text: str) -> tuple[str, ...]:
    return tuple(code.strip().upper() for code in text.split(",") if code.strip())


if __name__ == "__main__":
    sys.exit(main())
