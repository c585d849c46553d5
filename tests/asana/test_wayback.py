"""The way back: what people write at a task stands once in the note of its document, and nowhere else."""

from collections.abc import Iterator

import pytest

from mlc_sandbox.server import Sandbox
from tests.asana.office import COMPANY, Office, open_office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with (
        Sandbox.running(seed=3, scale=0.05, companies=(COMPANY,)) as sandbox,
        open_office(sandbox, tmp_path_factory.mktemp("office"), {"comments": True}) as office,
    ):
        yield office


def test_a_comment_becomes_a_line_of_the_note(office: Office) -> None:
    task = office.task()
    story = office.say(task, "Goods arrived broken,\nask for a credit note.")
    assert office.back().written == 1
    expected = office.line(story).replace("\n", " ")
    assert office.note(task).splitlines()[-1] == expected
