"""What a command says when something fails that is not its own."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlc_dagster.cli import main
from mlc_dagster.database import connect
from tests.support.postgres import postgres_url

__all__ = ["postgres_url"]


@pytest.mark.postgres
def test_a_database_that_goes_away_in_the_middle_of_a_command_is_told_in_a_sentence(
    installed: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLC_DATABASE_URL", postgres_url)
    monkeypatch.setattr("sys.argv", ["mlc", "quarantine", "list"])
    administrator = connect(postgres_url)
    others = "datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    ended: list[int] = []

    def restart(*call: Any) -> None:
        statement = call[2]
        if "FROM quarantine" in statement and not ended:
            with administrator.connect() as connection:
                query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
                ended.append(len(connection.execute(sa.text(query)).all()))

    sa.event.listen(sa.Engine, "before_cursor_execute", restart)
    try:
        with pytest.raises(SystemExit, match="1"):
            main.main()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", restart)
        administrator.dispose()
    assert ended == [1]
    said = capsys.readouterr().err
    assert said.startswith("The database failed in the middle of this command (")
    assert said.endswith("has room, then run this again.\n")
    assert "SELECT" not in said
