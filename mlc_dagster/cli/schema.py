"""`mlc schema`: the JSON schema of mlc.yaml, for editors."""

import json

from mlc_dagster.settings.jsonschema import json_schema


def schema_text() -> str:
    """The schema as a file."""
    return json.dumps(json_schema(), indent=1) + "\n"
