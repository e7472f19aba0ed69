"""What people read: tables whose values can be copied, objects in words."""

from __future__ import annotations

import pytest

from gateway.faces.cli.output import Printer, shown


def test_a_table_keeps_every_value_whole_however_narrow_the_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    record = "v=DKIM1; p=" + "A" * 300
    rows = [{"name": "s1._domainkey.example.com", "value": record, "id": "k-1"}, {"name": "例.test"}]
    Printer(as_json=False).many(rows, ("name", "value", "id"))
    head, first, second = capsys.readouterr().out.splitlines()
    assert first == f"s1._domainkey.example.com  {record}  k-1"
    assert head.index("value") == first.index("v=DKIM1")
    # The long value widens no other line, and a wide letter takes two columns.
    assert second == "例.test" + " " * 20 + "-" + " " * 65 + "-"


def test_a_value_of_several_lines_has_them_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=False).many([{"key": "rules", "value": "one\ntwo"}], ("key", "value"))
    assert capsys.readouterr().out.splitlines()[1:] == ["rules  one", "       two"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"delivered": 1, "ready": 2}, "delivered 1, ready 2"),
        ({"seen_at": 0.0, "smtp": True, "note": None}, "seen_at 1970-01-01T00:00:00Z, smtp yes, note -"),
        ({}, "-"),
        ([{"a": 1}, {"a": 2}], "a 1; a 2"),
        ({"of": {"name": "Bücher"}}, '{"of": {"name": "Bücher"}}'),
        ({"of": ["\x9b31m\x1b"]}, '{"of": ["\N{REPLACEMENT CHARACTER}31m\\u001b"]}'),
        ({"\x1b": "\x1b"}, "\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_an_object_is_read_and_commands_no_terminal(value: object, text: str) -> None:
    assert shown("value", value) == text
