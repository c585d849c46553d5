"""What every pair has in Dagster: rows, destinations, checks, a schedule and sensors. Knows no vendor."""
