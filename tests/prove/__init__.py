"""The proof: a campaign over the engine, one over all pairs as processes. See docs/reliability.md."""
