"""The demo's folder is held by one process and emptied only when a demo made it."""

from pathlib import Path

import pytest

from mlc_dagster.cli import folder as folders


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with (
        pytest.raises(folders.NotADemo, match="nothing was touched"),
        folders.hold(tmp_path, "a demo"),
    ):
        pass
    assert [child.name for child in tmp_path.iterdir()] == ["precious.txt"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(folders.NoFolder, match="Not a directory"),
        folders.hold(tmp_path / "file" / "demo", "a demo"),
    ):
        pass


def test_a_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with folders.hold(folder, "a demo"):
        (folder / "lake").mkdir()
        (folder / "mlc.yaml").touch()
    with folders.hold(folder, "a demo"):
        folders.empty(folder)
        assert [child.name for child in folder.iterdir()] == [folders.MARK]


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    with (
        folders.hold(tmp_path / "demo", "a demo"),
        pytest.raises(folders.FolderBusy, match=r"in use by a demo \(process \d+\)"),
        folders.hold(tmp_path / "demo", "the UI"),
    ):
        pass
    with folders.hold(tmp_path / "demo", "the UI"):
        pass
