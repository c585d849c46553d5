"""What processes a test's command has left behind."""

import subprocess


def processes_of(session: int) -> list[str]:
    """What a session's leader has left running; ended ones may wait for the system to note it."""
    command = ["ps", "-o", "stat=,args=", "-s", str(session)]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [process for process in listed if not process.startswith("Z")]
