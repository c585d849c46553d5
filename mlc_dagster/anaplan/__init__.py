"""Anaplan: its Integration API, and pre-built imports as exact destinations (vendors/anaplan.md)."""
