"""The `mlc` command."""
