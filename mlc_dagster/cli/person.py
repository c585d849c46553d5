"""Who gives a command: what the audit trail names."""

import getpass


def person() -> str:
    """The user's name on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody without a name on this machine"
