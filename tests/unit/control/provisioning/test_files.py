"""Files of many requests: what rows become, and every mistake with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.provisioning.files import FileMistakes, read_rows


def places(file: str, text: str) -> list[tuple[int, str]]:
    """Where mistakes are: line and key."""
    with pytest.raises(FileMistakes) as refused:
        read_rows(file, text)
    return [(one.line, one.key) for one in refused.value.problems]


def test_a_row_of_csv_is_a_request() -> None:
    text = (
        "\ufefftenant,local_part,domain,plan,contacts,client_id,metadata.crm,smtp,imap,app_password,display_name\r\n"
        'Acme,bob,acme.example,free,a@x.example b@x.example,u-1,4711,yes,yes,yes,"Bob, the ""builder"""\r\n'
        "\r\n"
        "Globex,eve,,,,,,,,,\r\n"
    )
    first, second = read_rows("new.csv", text)
    assert (first.line, second.line) == (2, 4)
    assert first.body == {
        "tenant": {"name": "Acme", "plan": "free", "contacts": ["a@x.example", "b@x.example"]},
        "account": {
            "local_part": "bob",
            "display_name": 'Bob, the "builder"',
            "client_id": "u-1",
            "metadata": {"crm": "4711"},
        },
        "protocols": {"smtp": True, "imap": True},
        "app_password": True,
        "domain": "acme.example",
    }
    assert second.body == {
        "tenant": {"name": "Globex"},
        "account": {"local_part": "eve"},
        "protocols": {"smtp": False, "imap": False},
        "app_password": False,
    }


def test_a_row_needs_little_and_asks_for_nothing_by_itself() -> None:
    (row,) = read_rows("x.csv", "tenant_client_id;local_part\nc-1;bob\n")
    assert row.body["protocols"] == {"smtp": False, "imap": False}
    assert row.body["app_password"] is False
    assert row.body["tenant"] == {"client_id": "c-1"}
    (row,) = read_rows("x.csv", "tenant,local_part,imap,app_password\nA,bob,yes,Chosen-password-123\n")
    assert row.body["app_password"] == "Chosen-password-123"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, "local_part"), (1, "tenant")]),
        ("tenant,local_part,plam,plan,plan\n", [(1, "plam"), (1, "plan"), (1, "plan")]),
        ("tenant,local_part\n", [(0, "")]),
        (
            'tenant,local_part,smtp,client_id\nA,bob,perhaps,1\nB\n"C\nC",,no,2\n,x,no,3\nD,y,no,4\nD,z,no,4\n',
            [(2, "smtp"), (3, ""), (4, "local_part"), (6, "tenant"), (8, "client_id")],
        ),
        ('tenant,local_part\nA,"bob\n', [(2, "")]),
        (
            "tenant,tenant_client_id,local_part,display_name,environment,app_password,metadata.x\n"
            f"A,,bob,{'x' * 1001},,,\n{'A' * 201},{'c' * 201},eve,,prod,yes,{'y' * 1001}\n",
            [
                (2, "display_name"),
                (3, "tenant"),
                (3, "tenant_client_id"),
                (3, "metadata"),
                (3, "environment"),
                (3, "app_password"),
            ],
        ),
    ],
)
def test_mistakes_in_csv(text: str, expected: list[tuple[int, str]]) -> None:
    assert places("x.csv", text) == expected


BOB = {
    "tenant": {"name": "A"},
    "account": {"local_part": "bob"},
    "protocols": {"imap": True},
    "app_password": True,
}


@pytest.mark.parametrize(
    "text", [json.dumps([BOB, BOB], indent=2), f"{json.dumps(BOB)}\n{json.dumps(BOB)}\n"]
)
def test_json_is_a_list_or_one_object_a_line(text: str) -> None:
    assert [row.body for row in read_rows("x.json", text)] == [BOB, BOB]


def test_lines_of_json() -> None:
    text = '[\n  {"account": {"local_part": "a"}},\n\n  {"account": {"local_part": "b"}}\n]\n'
    assert [row.line for row in read_rows("x.json", text)] == [2, 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(0, "")]),
        ("[]", [(0, "")]),
        ("[5]", [(1, "")]),
        ('{"account": {"local_part": "a"}}\n{"account": {', [(2, "")]),
        (
            '{"tenent": {}, "account": 5}\n'
            '{"account": {"local_part": "x", "local": 1}, "protocols": {"smtp": "yes"}, "domain": 5}\n',
            [
                (1, "account"),
                (1, "tenent"),
                (1, "account.local_part"),
                (2, "account.local"),
                (2, "protocols.smtp"),
                (2, "domain"),
            ],
        ),
        ("[" * 100_000, [(1, "")]),
        (
            '{"account": {"local_part": "a", "client_id": " "}, "environment": "prod"}\n'
            '{"account": {"local_part": "\\ud800"}, "app_password": true}\n'
            '{"account": {"local_part": "a", "client_id": "1"}}\n'
            '{"account": {"local_part": "b", "client_id": " 1 "}}\n',
            [
                (1, "account.client_id"),
                (1, "environment"),
                (2, "account.local_part"),
                (2, "app_password"),
                (4, "client_id"),
            ],
        ),
    ],
)
def test_mistakes_in_json(text: str, expected: list[tuple[int, str]]) -> None:
    assert places("x.json", text) == expected


@given(st.sampled_from(["x.csv", "x.json"]), st.text(max_size=400))
def test_no_text_breaks_the_reader(file: str, text: str) -> None:
    try:
        read_rows(file, text)
    except FileMistakes as error:
        assert error.problems


@given(
    st.lists(st.tuples(st.text('ab,;"\n é', min_size=1), st.text("xyz", min_size=1)), min_size=1, max_size=5)
)
def test_cells_come_back_as_they_were_written(pairs: list[tuple[str, str]]) -> None:
    lines = ['"' + name.replace('"', '""') + f'",{local}' for name, local in pairs if name.strip()]
    if lines:
        rows = read_rows("x.csv", "tenant,local_part\n" + "\n".join(lines) + "\n")
        expected = [(name.strip(), local) for name, local in pairs if name.strip()]
        assert [(row.body["tenant"]["name"], row.body["account"]["local_part"]) for row in rows] == expected
