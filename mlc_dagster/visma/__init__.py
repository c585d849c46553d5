"""Visma.net ERP: the source of every record."""
