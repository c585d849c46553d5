"""What all tests share."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Dagster marks what the graph is made of as beta or preview; the tests hold it to what it does.
    config.addinivalue_line("filterwarnings", "ignore:.*is currently in (beta|preview)")
