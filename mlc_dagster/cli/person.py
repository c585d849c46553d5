"""Who gives a command: what the audit trail names."""

import os
import pwd
import socket


def person() -> str:
    """The user this process runs as, and the machine: `mlc@ledger01`. The environment has no say in it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run under ids without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
