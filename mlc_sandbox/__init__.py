"""Local servers that speak the vendors' protocols, with faults on demand. Never imports mlc_dagster."""
