"""What comes back into the ERP: partners' documents, and people's remarks. Knows no Dagster."""
