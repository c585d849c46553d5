"""Calls nobody answered, limits, and answers that came in pieces: each document is one task in the end."""

from datetime import timedelta

import pytest

from mlc_dagster.delivery.errors import Closed
from mlc_sandbox.asana.world import World
from tests.asana.tenant import invoice

ROWS = [invoice(str(number)) for number in range(25)]


@pytest.fixture
def project(world: World) -> str:
    return world.members["supplier_invoices"]


def test_placeholder() -> None:
    assert ROWS and Closed and timedelta
