"""A simulated Cleo Integration Cloud: its API, a mailbox over REST, HTTP and SFTP, and partners behind it."""

from mlc_sandbox.cleo.vendor import CleoVendor
from mlc_sandbox.cleo.world import World

__all__ = ["CleoVendor", "World"]
