"""Keeps planning, task, EDI and BI systems equal to Visma.net ERP."""
