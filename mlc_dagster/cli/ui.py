"""`mlc ui`: Dagster's webserver and daemon on the demo's instance, with the sandbox beside them."""

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from mlc_dagster.cli import folder as folders
from mlc_dagster.cli.console import console
from mlc_dagster.cli.sandbox import Sandbox
from mlc_dagster.cli.signals import stoppable
from mlc_dagster.settings import REPOSITORY, load_settings


class NoDemo(Exception):
    """There is nothing to show yet."""


def serve_ui(folder: Path, port: int) -> None:
    """Serve until Ctrl-C. The sandbox goes on where the demo left it.

    Raises:
        NoDemo: the folder holds no demo.
        FolderBusy: a demo or another UI works in the folder.
    """
    if not folders.is_demo(folder) or not (folder / "mlc.yaml").exists():
        raise NoDemo(f"There is no demo in {folder}. Run `make demo` first.")
    with folders.hold(folder, "the UI"):
        folders.use(folder)
        sandbox_port = urlsplit(load_settings().visma.base_url).port
        with Sandbox.started(folder, port=sandbox_port) as sandbox:
            console.print(
                f"Dagster: http://127.0.0.1:{port}/asset-groups   sandbox: {sandbox.url}   Ctrl-C stops both."
            )
            console.print(f"In another terminal: . {folder}/activate")
            _serve(port)


def _serve(port: int) -> None:
    """Run Dagster until it ends or we are told to stop."""
    command = [
        str(Path(sys.executable).parent / "dagster"),
        "dev",
        "--port",
        str(port),
        "--host",
        "127.0.0.1",
    ]
    command += ["--workspace", str(REPOSITORY / "workspace.yaml")]
    with stoppable(), subprocess.Popen(command) as process:  # noqa: S603 - our own command line, no shell
        try:
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
