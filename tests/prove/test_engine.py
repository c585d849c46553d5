"""A short run of the campaign over the engine; `make prove` is the long one."""

from collections import Counter
from pathlib import Path

from tests.prove.engine import AT_A_POINT, SENDING, rounds


def test_after_rounds_of_every_trouble_the_destination_is_equal_and_nothing_is_there_twice(
    tmp_path: Path,
) -> None:
    done: Counter[str] = Counter()
    for seed, happened, wrong in rounds(tmp_path, 1, 15):
        assert wrong == [], f"seed {seed}"
        done += happened
    assert {*SENDING, *AT_A_POINT, "replay"} <= done.keys()


def test_a_seed_is_the_same_round_again(tmp_path: Path) -> None:
    first, again = (
        [(seed, done) for seed, done, _ in rounds(folder, 7, 2)]
        for folder in (_folder(tmp_path, "first"), _folder(tmp_path, "again"))
    )
    assert first == again


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
