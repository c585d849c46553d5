"""Commands that need Dagster's storage say which variable names it."""

import pytest

from mlc_dagster.cli.instance import NoDagster, dagster_instance


@pytest.mark.parametrize(
    ("home", "why"),
    [
        (None, "DAGSTER_HOME is not set"),
        ("relative", '"relative" must be an absolute path'),
        ("/no/such/folder", "is not a directory or does not exist"),
    ],
)
def test_a_home_that_is_none_is_told_with_what_to_set(
    monkeypatch: pytest.MonkeyPatch, home: str | None, why: str
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if home:
        monkeypatch.setenv("DAGSTER_HOME", home)
    with (
        pytest.raises(NoDagster, match=r"has to be the absolute path .* dagster.yaml") as told,
        dagster_instance(),
    ):
        pass
    assert why in str(told.value)
