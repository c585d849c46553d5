"""A simulated Power BI tenant: push datasets, their rows, refreshes and DAX queries."""
