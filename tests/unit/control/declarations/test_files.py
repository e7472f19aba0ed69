"""Declarations on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.control.declarations.files import UnreadableFiles, read_files, write_files

FILES = (("tree/a.toml", "# a\n"), ("tree/policies/plans/p.toml", "# é\n"), ("tree/z/deep/er.toml", ""))


def test_a_folder_is_written_and_read(tmp_path: Path) -> None:
    written = write_files(tmp_path, FILES)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [name for name, _ in FILES]
    (tmp_path / "tree/.hidden.toml").write_text("x")
    (tmp_path / "tree/.git").mkdir()
    (tmp_path / "tree/.git/x.toml").write_text("x")
    (tmp_path / "tree/readme.md").write_text("x")
    assert read_files(tmp_path / "tree") == FILES


def test_paths_say_in_which_folder_a_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, FILES)
    folder = tmp_path / "tree/policies/plans"
    assert read_files(folder / "p.toml") == (("plans/p.toml", "# é\n"),)
    assert read_files(folder) == (("plans/p.toml", "# é\n"),)
    monkeypatch.chdir(folder)
    assert read_files(Path()) == (("plans/p.toml", "# é\n"),)
    assert read_files(Path("p.toml")) == (("plans/p.toml", "# é\n"),)


def test_what_cannot_be_read_is_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"ok\n\xff")
    (tmp_path / "b.toml").write_bytes(b"\xff")
    with pytest.raises(UnreadableFiles) as refused:
        read_files(tmp_path)
    assert [(Path(one.file).name, one.line) for one in refused.value.problems] == [
        ("a.toml", 2),
        ("b.toml", 1),
    ]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UnreadableFiles):
            read_files(path)
