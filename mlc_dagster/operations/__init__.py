"""What people and schedules do beside the way of a record: look, replay, sweep, forget. Knows no Dagster."""
