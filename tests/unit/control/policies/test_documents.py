"""Reading documents: the example of the design, and every mistake at once with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.control.policies.documents import read_document, restore_document
from gateway.control.policies.folder import read_tree
from gateway.control.policies.packaged import packaged_documents
from gateway.control.policies.problems import DocumentErrors

EXAMPLE = """
extends = "default"
[limits]
recipients_per_message = 50
message_bytes = "25 MiB"
attachments = { count = 20, bytes = "20 MiB", blocked = ["application/x-msdownload", "*.exe"] }
connections_per_account = 20
[limits.account]                    # the same keys under [limits.tenant] and [limits.workspace]
messages_per_minute = 60
messages_per_hour = 100
messages_per_day = 200
messages_per_month = "unlimited"
recipients_per_day = 500
first_time_recipients_per_day = 200
storage_bytes = "1 GiB"
[sender]
scope = "address"
bare_newlines = "normalise"
long_lines = "reject"
[queue]
give_up = "3d"
streams = { transactional = { weight = 10, give_up = "8h" }, marketing = { weight = 1 } }
[retention]
inbox = "30d"
junk = "7d"
records = "90d"
[residency]
location = "default"
[sharding]
zone = "tenant"
names = ["s1.mail"]
[[rules]]
name = "no executables"
direction = "outbound"
any = [{ field = "attachment.type", op = "is", value = "application/x-dosexec" }]
action = "reject"
"""


def test_example_of_the_design() -> None:
    """Every key of it, as it is kept."""
    read = read_document(EXAMPLE, "policies/free.toml", "policy", "free")
    assert read.problems == ()
    assert read.document is not None
    settings = read.document.settings
    assert read.document.extends == "default"
    assert settings["limits.message_bytes"] == 25 * 2**20
    assert settings["limits.account.messages_per_month"] is None
    assert settings["limits.attachments.blocked"] == ("application/x-msdownload", "*.exe")
    assert settings["queue.streams.transactional.give_up"] == 8 * 3600
    assert settings["sharding.names"] == ("s1.mail",)
    rule = read.document.rules[0]
    assert (rule.name, rule.action, rule.source, rule.needs_attachments) == (
        "no executables",
        "reject",
        "policy free",
        True,
    )


def test_restored_document_is_the_same() -> None:
    """What is stored as parsed reads as what was written."""
    document = read_document(EXAMPLE, "free.toml", "policy", "free").document
    assert document is not None
    again = restore_document("policy", "free", 3, document.text, document.data)
    assert (again.settings, again.rules, again.extends) == (document.settings, document.rules, "default")
    assert again.version == 3


def test_stored_document_of_a_newer_program() -> None:
    """Said, not guessed at."""
    with pytest.raises(DocumentErrors, match="unknown key"):
        restore_document("policy", "free", 1, "", {"future": 1})


MISTAKES = """\
extends = "no such name!"
nmae = "x"
name = "other"
description = 3
limits = 5
[sender]
scope = "adress"
hide_client = 1
[queue]
give_up = "3 days"
tenant_weight = 0
[queue.streams]
Bad = { weight = 1 }
fine = { wieght = 1, give_up = "30d" }
[retention]
inbox = "1h"
[residency]
location = "Not A Name"
[sharding]
zone = "tenants"
names = ["a", "a"]
[[rules]]
action = "rejct"
all = []
[[rules]]
name = "second"
direction = "sideways"
action = "hold"
reply = "no"
any = [
  { field = "atachment.type", op = "is", value = "x" },
  { field = "size", op = "contains", value = 1 },
  { field = "size", op = "greater", value = "1 XB" },
  { field = "subject", op = "matches", value = "/(a/" },
  { field = "client.address", op = "in_network", value = "192.0.2.1/24" },
  { field = "day", op = "is", value = "Frieday" },
  { field = "from", op = "in", value = [] },
  { field = "from" },
  { all = [], extra = 1 },
]
[[rules]]
name = "second"
action = "tag"
[[rules]]
name = "third"
action = "reject"
tag = "x"
any = []
not = "this"
"""

EXPECTED = [
    (1, "extends", "allowed: 1 to 63 of a-z, 0-9 and -"),
    (2, "nmae", 'did you mean "name"?'),
    (3, "name", "call the file bad.toml".replace("bad", "other")),
    (4, "description", "allowed: a text"),
    (5, "limits", "a table is expected"),
    (7, "sender.scope", 'did you mean "address"?'),
    (8, "sender.hide_client", "allowed: true or false"),
    (10, "queue.give_up", '"3 days" is no duration; allowed: a duration such as "3d"'),
    (11, "queue.tenant_weight", "from 1 to 1000"),
    (13, "queue.streams.Bad", "not a stream's name"),
    (14, "queue.streams.fine.wieght", 'did you mean "weight"?'),
    (14, "queue.streams.fine.give_up", "1m to 7d"),
    (16, "retention.inbox", "allowed: a duration"),
    (18, "residency.location", "allowed: a name"),
    (20, "sharding.zone", 'allowed: "tenant" or "trial"'),
    (21, "sharding.names", "each once"),
    (22, "rules[0]", "the rule has no name"),
    (23, "rules[0].action", 'did you mean "reject"?'),
    (27, "rules[1].direction", 'allowed: "outbound", "inbound"'),
    (29, "rules[1].reply", 'only a rule with action = "reject"'),
    (31, "rules[1].any[0].field", 'did you mean "attachment.type"?'),
    (32, "rules[1].any[1].op", "allowed: is, is_not, in, greater, less"),
    (33, "rules[1].any[2].value", '"1 XB" is no size'),
    (34, "rules[1].any[3].value", "a ( that is not closed"),
    (35, "rules[1].any[4].value", "no network"),
    (36, "rules[1].any[5].value", "allowed: monday, tuesday"),
    (37, "rules[1].any[6].value", "allowed: 1 to 1000"),
    (38, "rules[1].any[7]", "no op and no value"),
    (39, "rules[1].any[8].extra", "unknown key"),
    (41, "rules[2]", 'if, and only if, its action = "tag"'),
    (41, "rules[2]", "no condition"),
    (47, "rules[3].tag", "if, and only if"),
    (48, "rules[3].any", "at least one condition"),
    (49, "rules[3].not", "allowed: a list of conditions"),
]


def test_every_mistake_at_once() -> None:
    """Each with its line and key and what is allowed, and nothing else."""
    problems = read_document(MISTAKES, "policies/bad.toml", "policy", "bad").problems
    got = sorted((problem.line, problem.key) for problem in problems)
    assert got == sorted((line, key) for line, key, _ in EXPECTED)
    for line, key, words in EXPECTED:
        said = [problem.message for problem in problems if (problem.line, problem.key) == (line, key)]
        assert any(words in message for message in said), (key, said)
    assert {problem.file for problem in problems} == {"policies/bad.toml"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules = 3", "begin each with [[rules]]"),
        ("[limits.attachments]\nblocked = ['exe']", 'did you mean "*.exe"?'),
        ("[limits.attachments]\nblocked = ['a/b/c']", "no media type"),
        ("[limits.attachments]\nblocked = ['*.[e']", "has no ]"),
        ("[limits]\nrecipients_per_message = 0", "at least 1"),
        ("[limits]\nrecipients_per_message = true", "whole number"),
        ("[limits]\nmessage_bytes = 1.5", "a size such as"),
        ("[limits.account]\nmessages_per_day = -1", "at least 0"),
        ("[limits.account]\nmessages_per_day = 2027-01-01", "at least 0"),
        ("[limits.account.deep]\nx = 1", "unknown key"),
        ("a = 1\na = 2", "Cannot overwrite"),
    ],
)
def test_single_mistakes(text: str, words: str) -> None:
    """One problem each."""
    problems = read_document(text, "x.toml", "policy", "x").problems
    assert len(problems) == 1, problems
    assert words in str(problems[0])


def test_limits_on_rules() -> None:
    """So many rules, so many comparisons, so deep."""
    one = '[[rules]]\nname = "r{0}"\naction = "hold"\nall = []\n'
    many = "".join(one.format(number) for number in range(201))
    assert "at most 200" in str(read_document(many, "x.toml", "policy", "x").problems[0])
    test = '{ field = "size", op = "is", value = 1 }, '
    wide = f'[[rules]]\nname = "r"\naction = "hold"\nall = [{test * 501}]'
    assert "at most 500" in str(read_document(wide, "x.toml", "policy", "x").problems[0])
    deep = "{ all = [" * 12 + "] }" * 12
    nested = f'[[rules]]\nname = "r"\naction = "hold"\nall = [{deep}]'
    assert "over 10 deep" in str(read_document(nested, "x.toml", "policy", "x").problems[0])


def test_folder(tmp_path: Path) -> None:
    """Policies at the top, plans below `plans`; hidden and other files are not read."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "a.toml").write_text('description = "a"')
    (tmp_path / ".b.toml").write_text("nonsense")
    (tmp_path / "README").write_text("nonsense")
    (tmp_path / "plans" / "a.toml").write_text("[limits]\nmessage_bytes = 5")
    documents = read_tree(tmp_path).documents
    assert [document.source for document in documents] == ["policy a", "plan a"]
    assert [one.source for one in read_tree(tmp_path / "plans").documents] == ["plan a"]
    assert [one.source for one in read_tree(tmp_path / "plans" / "a.toml").documents] == ["plan a"]
    assert [one.source for one in read_tree(tmp_path / "a.toml").documents] == ["policy a"]


def test_folder_says_all_mistakes_of_all_files(tmp_path: Path) -> None:
    """And what cannot be read at all."""
    (tmp_path / "a.toml").write_text("x = 1\ny = 2")
    (tmp_path / "b.toml").write_text("[")
    (tmp_path / "c.toml").write_bytes(b"\n\n# caf\xe9")
    (tmp_path / "Bad Name.toml").write_text("")
    with pytest.raises(DocumentErrors) as caught:
        read_tree(tmp_path)
    places = [(Path(problem.file).name, problem.line) for problem in caught.value.problems]
    assert places == [("Bad Name.toml", 1), ("a.toml", 1), ("a.toml", 2), ("b.toml", 1), ("c.toml", 3)]


@pytest.mark.parametrize("name", ["missing", "empty", "notes.txt"])
def test_nothing_to_read(tmp_path: Path, name: str) -> None:
    """A path that holds no document is a mistake, not an empty success."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DocumentErrors):
        read_tree(tmp_path / name)


def test_packaged_documents_are_right() -> None:
    """Those that come with the program."""
    sources = {document.source for document in packaged_documents()}
    policies = ("default", "trial", "free", "staging", "development", "standard", "bulk")
    plans = ("trial", "free", "standard", "enterprise")
    assert sources == {f"policy {name}" for name in policies} | {f"plan {name}" for name in plans}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("to", '"No List"', "the name of a list"),
        ("to", "[]", "the name of a list"),
        ("subject", '"partners"', "in_list"),
    ],
)
def test_what_no_rule_can_ask_of_a_list(field: str, value: str, problem: str) -> None:
    text = f"""
[[rules]]
name = "r"
action = "hold"
all = [{{ field = "{field}", op = "in_list", value = {value} }}]
"""
    (found,) = read_document(text, "p.toml", "policy", "p").problems
    assert problem in found.message
