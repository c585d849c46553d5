"""The Dagster graph: source, rows, destinations, checks, schedules and sensors. Knows no vendor's API."""
