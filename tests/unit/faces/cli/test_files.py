"""Documents on disk, as the command line hands them in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.faces.cli.batches import Results
from gateway.faces.cli.client import UrlTransport
from gateway.faces.cli.files import read_documents, write_lines, write_private
from gateway.faces.cli.output import CommandFailed


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three documents at different depths, and what is none."""
    tree = tmp_path / "tree"
    for name, text in (
        ("a.toml", "# a\n"),
        ("policies/plans/p.toml", "# é\n"),
        ("z/deep/er.toml", ""),
        (".hidden.toml", "x"),
        (".git/x.toml", "x"),
        ("readme.md", "x"),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, "utf-8")
    return tree


def test_a_folder_is_read_with_what_is_below_it(tree: Path) -> None:
    read = {one["path"]: one["text"] for one in read_documents(tree, "bad")}
    names = ("a.toml", "policies/plans/p.toml", "z/deep/er.toml")
    assert read == {str(tree / name): (tree / name).read_text("utf-8") for name in names}


def test_only_the_named_folders_are_read(tree: Path) -> None:
    [read] = read_documents(tree / "policies", "bad", below=("plans",))
    assert read["path"].endswith("policies/plans/p.toml")
    with pytest.raises(CommandFailed, match=r"no \.toml file"):
        read_documents(tree / "z", "bad", below=("plans",))


@pytest.mark.parametrize("path", ["p.toml", "."])
def test_a_path_says_in_which_folder_a_file_lies(
    tree: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tree / "policies/plans")
    [read] = read_documents(Path(path), "bad")
    assert read["path"].endswith("plans/p.toml")


def test_what_cannot_be_read_is_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"ok\n\xff")
    (tmp_path / "b.toml").write_bytes(b"\xff")
    with pytest.raises(CommandFailed) as refused:
        read_documents(tmp_path, "bad")
    told = refused.value.problems
    assert [(Path(str(one["file"])).name, one["line"]) for one in told] == [("a.toml", 2), ("b.toml", 1)]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(CommandFailed):
            read_documents(path, "bad")


def test_lines_replace_a_file_only_when_all_have_come(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "one"
        raise CommandFailed("no-answer", "It does not answer.")

    out = tmp_path / "out.jsonl"
    out.write_text("before\n")
    with pytest.raises(CommandFailed):
        write_lines(out, broken())
    assert (out.read_text(), list(tmp_path.iterdir())) == ("before\n", [out])
    assert write_lines(out, ["one", "two"]) == 2
    assert (out.read_text(), out.stat().st_mode & 0o777) == ("one\ntwo\n", 0o600)
    assert write_lines(out, []) == 0


@pytest.mark.parametrize("place", ["nowhere/out", "file/out"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / place
    for write in (
        lambda: write_private(path, "x"),
        lambda: write_lines(path, ["x"]),
        lambda: Results(path, []),
    ):
        with pytest.raises(CommandFailed, match="cannot be written"):
            write()
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://127.0.0.1:80/", "https://api.example/gatepost/"]
)
def test_a_slash_at_the_end_of_the_apis_url_does_not_count(url: str) -> None:
    assert not UrlTransport(url, "key")._url.path.endswith("/")
