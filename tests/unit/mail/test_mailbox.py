"""Envelope addresses: what RFC 5321 and RFC 6531 allow, and nothing near it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.address import AddressError, Mailbox, parse_mailbox

ATOM = st.text(alphabet="abcXYZ019!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=8)
LABEL = st.from_regex(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,6}[a-zA-Z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PLAIN = st.builds(
    lambda atoms, domain: f"{'.'.join(atoms)}@{domain}", st.lists(ATOM, min_size=1, max_size=3), DOMAIN
)
PRINTABLE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


@given(PLAIN)
def test_plain_addresses_come_back_as_written(text: str) -> None:
    mailbox = parse_mailbox(text)
    assert str(mailbox) == text
    assert mailbox.key == text.lower()
    assert mailbox.is_ascii
    assert not mailbox.is_literal


@given(PRINTABLE, DOMAIN)
def test_any_printable_local_part_can_be_quoted(local: str, domain: str) -> None:
    mailbox = parse_mailbox(str(Mailbox(local, domain)))
    assert mailbox == Mailbox(local, domain)


@given(PRINTABLE, DOMAIN)
def test_quoting_more_than_needed_changes_nothing(local: str, domain: str) -> None:
    quoted = "".join(f"\\{character}" for character in local)
    assert parse_mailbox(f'"{quoted}"@{domain}') == Mailbox(local, domain)


@given(st.text(max_size=40), st.booleans())
def test_only_address_errors_come_out(text: str, smtputf8: bool) -> None:
    try:
        mailbox = parse_mailbox(text, smtputf8=smtputf8)
    except AddressError as error:
        assert error.rule
        assert str(error).isascii()
        return
    assert parse_mailbox(str(mailbox), smtputf8=smtputf8) == mailbox
    assert smtputf8 or mailbox.is_ascii
    assert mailbox.domain_key.isascii()
    assert "\r" not in str(mailbox)
    assert "\n" not in str(mailbox)


@given(st.text(alphabet='a."\\@[]<>() :;,\x00\r\n\t', max_size=14))
def test_hostile_alphabets_are_read_one_way_or_not_at_all(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except AddressError:
        return
    assert parse_mailbox(str(mailbox)) == mailbox
    assert "@" not in mailbox.domain


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "empty"),
        ("alice", "no-domain"),
        ("alice@", "no-domain"),
        ('"alice"', "no-domain"),
        ("@example.com", "source-route"),
        ("@relay.example:alice@example.com", "source-route"),
        (".alice@example.com", "local-part"),
        ("alice.@example.com", "local-part"),
        ("al..ice@example.com", "local-part"),
        ("al ice@example.com", "local-part"),
        ("al(c)ice@example.com", "local-part"),
        ("<alice@example.com", "local-part"),
        ("alice@example.com>", "domain"),
        ('"a"b@example.com', "local-part"),
        ('a"b"@example.com', "local-part"),
        ('"a@example.com', "local-part"),
        ('""@example.com', "local-part"),
        ("alice @example.com", "local-part"),
        (" alice@example.com", "local-part"),
        ("alice@example.com ", "domain"),
        ("alice@ example.com", "domain"),
        ("a@b@example.com", "domain"),
        ("alice@example.com.", "domain"),
        ("alice@.example.com", "domain"),
        ("alice@example..com", "domain"),
        ("alice@-example.com", "domain"),
        ("alice@example-.com", "domain"),
        ("alice@exa_mple.com", "domain"),
        ("alice@example.com,bob@example.com", "domain"),
        ("alice@example.com\r\nRCPT TO:<b@c>", "control-character"),
        ("alice\x00@example.com", "control-character"),
        ("al\tice@example.com", "control-character"),
        ("alice@example.com\x7f", "control-character"),
        ('"a\x00"@example.com', "control-character"),
        ("jörg@example.com", "not-ascii"),
        ("joerg@bücher.example", "not-ascii"),
        ("alice@[192.0.2.1", "address-literal"),
        ("alice@[192.0.2.256]", "address-literal"),
        ("alice@[192.0.2.1]x", "address-literal"),
        ("alice@[2001:db8::1]", "address-literal"),
        ("alice@[IPv6:fe80::1%eth0]", "address-literal"),
        ("alice@[IPv6:hello]", "address-literal"),
        ("alice@[x400:hello]", "address-literal"),
        ("alice@[]", "address-literal"),
        ("a" * 65 + "@example.com", "local-part-length"),
        ("alice@" + "a" * 64 + ".example", "domain-label"),
        ("alice@" + ".".join(["abcdefgh"] * 28), "length"),
        ("alice@" + "a." * 5000 + "example", "length"),
    ],
)
def test_refused_by_rule(text: str, rule: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(text)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("al\u202eice@example.com", "invisible-character"),
        ("al\u200bice@example.com", "invisible-character"),
        ("al\u00a0ice@example.com", "invisible-character"),
        ("al\ud800ice@example.com", "invisible-character"),
        ("alice@exam\u200bple.com", "invisible-character"),
        ("al\x85ice@example.com", "invisible-character"),
        ("alice@ex\u3002ample", "domain-idna"),
        ("alice@\u2603.example", "domain-idna"),
        ("alice@" + "ü" * 63 + ".example", "domain-idna"),
    ],
)
def test_refused_when_internationalised(text: str, rule: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(text, smtputf8=True)
    assert caught.value.rule == rule


def test_limits_are_inclusive() -> None:
    assert parse_mailbox("a" * 64 + "@example.com").local == "a" * 64
    domain = ".".join(["a" * 61] * 3 + ["abcd"])
    longest = "b" * (254 - 1 - len(domain)) + "@" + domain
    assert len(longest) == 254
    assert str(parse_mailbox(longest)) == longest
    with pytest.raises(AddressError, match="254"):
        parse_mailbox("b" + longest)


def test_octets_are_counted_not_characters() -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox("ö" * 33 + "@example.com", smtputf8=True)
    assert caught.value.rule == "local-part-length"


@pytest.mark.parametrize("text", ["alice@[192.0.2.1]", "alice@[IPv6:2001:db8::1]", "alice@[ipv6:::1]"])
def test_address_literals(text: str) -> None:
    mailbox = parse_mailbox(text)
    assert mailbox.is_literal
    assert str(mailbox) == text


def test_routing_characters_of_old_are_just_characters() -> None:
    assert parse_mailbox("user%other.example@example.com") == Mailbox("user%other.example", "example.com")
    assert parse_mailbox("host!user@example.com") == Mailbox("host!user", "example.com")
    assert parse_mailbox('"@relay:user"@example.com') == Mailbox("@relay:user", "example.com")


def test_keys_ignore_case_quoting_and_the_form_of_the_domain() -> None:
    key = "jörg@xn--bcher-kva.example"
    for text in (
        "jörg@bücher.example",
        "JÖRG@BÜCHER.Example",
        "jo\u0308rg@xn--Bcher-KVA.example",
        '"jörg"@bu\u0308cher.example',
    ):
        assert parse_mailbox(text, smtputf8=True).key == key
    assert parse_mailbox('"Alice"@Example.COM').key == "alice@example.com"


def test_different_owners_domains_stay_different() -> None:
    assert parse_mailbox("a@straße.example", smtputf8=True).domain_key == "xn--strae-oqa.example"
    assert parse_mailbox("a@strasse.example").domain_key == "strasse.example"


def test_internationalised_addresses() -> None:
    mailbox = parse_mailbox("用户@例子.example", smtputf8=True)
    assert mailbox.domain_key == "xn--fsqu00a.example"
    assert not mailbox.is_ascii
    assert str(mailbox) == "用户@例子.example"
    assert not parse_mailbox("a@例子.example", smtputf8=True).is_ascii
