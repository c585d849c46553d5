"""The sandbox beside `mlc demo` and `mlc ui`: the second goes on where the first ended."""

from pathlib import Path
from urllib.parse import urlsplit

from mlc_dagster.cli.sandbox import Sandbox, read_credentials


def test_a_sandbox_that_goes_on_leaves_what_a_person_has_edited(tmp_path: Path) -> None:
    with Sandbox.started(tmp_path, scale="0.01", companies=("NO01",)) as first:
        credentials = read_credentials(tmp_path)
    settings = tmp_path / "mlc.yaml"
    edited = settings.read_text("utf-8") + "# ours\nretention: {events_days: 3650}\n"
    settings.write_text(edited, "utf-8")
    with Sandbox.started(tmp_path, port=urlsplit(first.url).port) as second:
        assert second.url == first.url
        assert settings.read_text("utf-8") == edited
        assert read_credentials(tmp_path) == credentials
