"""One small ERP a module, and as many fresh installations at it as the tests want."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mlc_sandbox.server import Sandbox
from tests.support.house import House, open_house, running_sandbox

MakeHouse = Callable[..., House]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def make_house(sandbox: Sandbox, tmp_path: Path) -> Iterator[MakeHouse]:
    """Open an installation with options of one's own."""
    with ExitStack() as stack:

        def make(**options: Any) -> House:
            return stack.enter_context(open_house(sandbox, tmp_path, **options))

        yield make


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """One destination is enough for most tests."""
    return make_house(destinations=["suppliers"])
