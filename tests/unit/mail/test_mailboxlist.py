"""Header authors: every way to make two readers see two people is refused by name."""

from __future__ import annotations

from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import MAILBOXES_LIMIT, AddressError, parse_mailbox_list


def addresses(value: bytes | str) -> list[str]:
    return [str(mailbox) for mailbox in parse_mailbox_list(value)]


@pytest.mark.parametrize(
    "value",
    [
        "alice@example.com",
        "  alice@example.com\t",
        "<alice@example.com>",
        "Alice <alice@example.com>",
        "Alice<alice@example.com>",
        "Alice B. Smith <alice@example.com>",
        '"Smith, Alice" <alice@example.com>',
        '"a \\"quoted\\" name" <alice@example.com>',
        '"bob@example.org" <alice@example.com>',
        '"<bob@example.org>" <alice@example.com>',
        '"" <alice@example.com>',
        "=?utf-8?Q?J=C3=B6rg?= =?utf-8?B?w7Y=?= <alice@example.com>",
        "Jörg 用户 <alice@example.com>",
        "Alice\r\n Smith\r\n\t<alice@example.com>",
        "Alice <alice@example.com>\r\n",
        "=?x-nonsense?Q?=ZZ?= <alice@example.com>",
        "=?utf-8?B?????= <alice@example.com>",
    ],
)
def test_one_author(value: str) -> None:
    assert addresses(value) == ["alice@example.com"]
    assert addresses(value.encode()) == ["alice@example.com"]


def test_several_authors_in_order() -> None:
    value = 'a@b.example, "B, C" <b@c.example>,<c@d.example>\r\n ,\tD <d@e.example>'
    assert addresses(value) == ["a@b.example", "b@c.example", "c@d.example", "d@e.example"]


def test_quoted_local_parts_and_literals() -> None:
    assert addresses('"a b"@c.example') == ['"a b"@c.example']
    assert addresses('X <"a>b,c@d"@c.example>') == ['"a>b,c@d"@c.example']
    assert addresses("a@[IPv6:2001:db8::1], <a@[192.0.2.1]>") == ["a@[IPv6:2001:db8::1]", "a@[192.0.2.1]"]


def test_internationalised_addresses_are_marked() -> None:
    (mailbox,) = parse_mailbox_list("Jörg <jörg@bücher.example>".encode())
    assert not mailbox.is_ascii
    assert mailbox.key == "jörg@xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("alice", "no-address"),
        ("Alice Smith", "no-address"),
        ("<>", "no-address"),
        ("Alice <>", "no-address"),
        ("Alice <alice>", "no-address"),
        # more than one address where one is expected
        ("a@b.example <c@d.example>", "angle-brackets"),
        ("<a@b.example> <c@d.example>", "angle-brackets"),
        ("<a@b.example><c@d.example>", "angle-brackets"),
        ("<a@b.example> c@d.example", "display-name"),
        ("<a@b.example>c", "display-name"),
        ("a@b.example c@d.example", "display-name"),
        ("<a@b.example, c@d.example>", "angle-brackets"),
        ("<a@b.example c@d.example>", "angle-brackets"),
        ("<<a@b.example>>", "no-address"),
        ("<a@b.example", "angle-brackets"),
        ("a@b.example>", "angle-brackets"),
        ("Alice <a@b.example>>", "angle-brackets"),
        ("a@b.example@c.example", "domain"),
        ('"a@b.example" c@d.example', "display-name"),
        ('a@b.example "c" <c@d.example>', "display-name"),
        # display names that are something else
        ('"a" "b" <c@d.example>', "display-name"),
        ('"a" b <c@d.example>', "display-name"),
        ('a "b" <c@d.example>', "display-name"),
        ('"a <c@d.example>', "display-name"),
        ('a" <c@d.example>', "display-name"),
        ('"a\\" <c@d.example>', "display-name"),
        ("a\\b <c@d.example>", "display-name"),
        ("[a] <c@d.example>", "display-name"),
        ("Smith, Alice <a@b.example>", "no-address"),
        ("bob@b.example Smith <a@b.example>", "display-name"),
        ("@bob <a@b.example>", "source-route"),
        # comments, wherever they may stand
        ("a@b.example (Alice)", "comment"),
        ("(Alice) a@b.example", "comment"),
        ("Alice (x) <a@b.example>", "comment"),
        ("<a@b.example> (x)", "comment"),
        ("<a@b.example(x)>", "comment"),
        ("a@b.example(x)", "comment"),
        ("<(x)a@b.example>", "no-address"),
        ("a(x)@b.example", "comment"),
        ("a@(x)b.example", "comment"),
        ("(a(b)) <c@d.example>", "comment"),
        ("(<bob@b.example> \\) <c@d.example>", "comment"),
        ("a) <c@d.example>", "comment"),
        # groups
        ("friends: a@b.example;", "group"),
        ("friends: a@b.example, c@d.example;", "group"),
        ("undisclosed:;", "group"),
        ("a@b.example;", "group"),
        ("a@b.example; c@d.example", "group"),
        (":a@b.example", "group"),
        # routes
        ("<@relay.example:a@b.example>", "source-route"),
        ("@relay.example:a@b.example", "source-route"),
        ("<@x.example,@y.example:a@b.example>", "source-route"),
        # white space inside the address
        ("a @b.example", "at-sign"),
        ("a@ b.example", "no-domain"),
        ("a. b@c.example", "at-sign"),
        ("<a @b.example>", "no-address"),
        ("< a@b.example>", "no-address"),
        ("<a@b.example >", "angle-brackets"),
        ("<a@b\r\n .example>", "angle-brackets"),
        # empty elements
        (",a@b.example", "empty-element"),
        ("a@b.example,", "empty-element"),
        ("a@b.example, ,c@d.example", "empty-element"),
        # octets that end or hide something
        ("a@b.example\x00", "control-character"),
        ("a@b.example\x00@c.example", "control-character"),
        ("a@b.example\r\nFrom: c@d.example", "control-character"),
        ("a@b.example\rc", "control-character"),
        ("a@b.example\n <c@d.example>", "control-character"),
        ("\x1b[8mAlice <a@b.example>", "control-character"),
        ("Al\x85ice <a@b.example>", "control-character"),
        ("Al\u2028ice <a@b.example>", "control-character"),
        ("Al\ud800ice <a@b.example>", "control-character"),
        ("a\u202e@b.example", "invisible-character"),
        # encoded words where none may be, or with an end hidden inside
        ("=?utf-8?Q?a?=@b.example", "encoded-word"),
        ("<=?utf-8?B?Ym9iQGIuZXhhbXBsZQA=?=@b.example>", "encoded-word"),
        ("=?utf-8?B?Ym9iQGIuZXhhbXBsZQA=?= <a@b.example>", "encoded-word"),
        ("=?utf-8?Q?bob=40b.example=0A=00?= <a@b.example>", "encoded-word"),
        ('"=?utf-8?q?bob=0D=0A?=" <a@b.example>', "encoded-word"),
        ("=?utf-8?Q?bob@b.example?= <a@b.example>", "encoded-word"),
        # addresses that are none
        ("a..b@c.example", "local-part"),
        (".a@c.example", "local-part"),
        ("a@-c.example", "domain"),
        ("a@c_d.example", "domain"),
        ("a@[300.1.1.1]", "address-literal"),
        ("x" * 65 + "@b.example", "local-part-length"),
        ("x" * 40_000, "length"),
        (", ".join(["a@b.example"] * (MAILBOXES_LIMIT + 1)), "too-many"),
    ],
)
def test_refused_by_rule(value: str, rule: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox_list(value)
    assert caught.value.rule == rule
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 400


def test_octets_that_are_not_utf_8() -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox_list(b"J\xf6rg <a@b.example>")
    assert caught.value.rule == "not-utf-8"


TOKENS = st.lists(
    st.sampled_from(
        [
            "a@b.ex",
            "c@d.ex",
            "<",
            ">",
            ",",
            '"',
            "(",
            ")",
            ":",
            ";",
            "\\",
            " ",
            ".",
            "x",
            "@",
            "=?u?q?z?=",
            "\r\n ",
            "[",
            "]",
        ]
    ),
    max_size=12,
).map("".join)


@given(TOKENS)
def test_what_is_accepted_another_reader_sees_the_same_way(value: str) -> None:
    """The standard library reads what we accept as the same addresses."""
    try:
        ours = addresses(value)
    except AddressError:
        return
    theirs = [address for _, address in getaddresses([value.replace("\r\n", "")])]
    assert [address.replace('"', "") for address in theirs] == [address.replace('"', "") for address in ours]


@given(TOKENS, st.sampled_from(["a@b.ex", "N <a@b.ex>", '"q, r" <a@b.ex>']))
def test_all_or_nothing(odd: str, good: str) -> None:
    """An element that is refused alone is not taken because a good one stands beside it."""
    try:
        alone = addresses(odd)
    except AddressError as error:
        if '"' in odd or "," in odd or "\\" in odd or error.rule == "control-character":
            return  # the odd one may reach into its neighbour
        with pytest.raises(AddressError):
            parse_mailbox_list(f"{good}, {odd}")
        return
    assert addresses(f"{good}, {odd}") == ["a@b.ex", *alone]


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_only_address_errors_come_out(value: bytes | str) -> None:
    try:
        found = parse_mailbox_list(value)
    except AddressError:
        return
    assert found
