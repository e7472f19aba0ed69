"""What is composed parses back to the same texts, in lines that every hop takes."""

from __future__ import annotations

import email
import email.policy
import email.utils
from email.header import decode_header, make_header
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.errors import Invalid
from gateway.mail.address import Mailbox, parse_mailbox_list
from gateway.mail.headers import parse_header, split_message
from gateway.mail.mime import decode_words, parse_content_value, scan_attachments
from gateway.outgoing.composing import Address, Attachment, OutgoingMessage, read_address
from gateway.outgoing.composing.composer import compose

ME = read_address("App <app@acme.example>")
TOKEN = "0123456789abcdef"
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=400)
# One line, as a subject or a name can be: no control characters, no separators of lines.
LINES = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Co", "Cn")), max_size=150
) | st.text(alphabet='ab =?"\\,<>@:;_é\u4e2d\U0001f600', max_size=150)


def composed(**values: object) -> bytes:
    message = OutgoingMessage(**{"to": (read_address("bob@there.example"),), **values})  # type: ignore[arg-type]
    return compose(message, ME, TOKEN).content


def parsed(content: bytes) -> Message:
    return email.message_from_bytes(content)


def text_of(part: Message) -> str:
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode(str(part.get_content_charset()))


def name_of(part: Message) -> str:
    """The name of a file: `get_filename` would take more quotation marks away than there are."""
    value = str(part["content-disposition"]).encode("ascii")
    name = parse_content_value(value.replace(b"\r\n", b"").replace(b"\n", b"")).parameters["filename"]
    parsed_again = email.message_from_bytes(b"Content-Disposition: " + value, policy=email.policy.default)
    assert parsed_again["content-disposition"].params["filename"] == name
    return name


def ended(text: str) -> str:
    """The text as a message has it: lines end in CRLF, the last one too."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return (lines if lines.endswith("\n") else lines + "\n").replace("\n", "\r\n")


def check_lines(content: bytes, most: int = 998) -> None:
    assert content.endswith(b"\r\n")
    assert content.replace(b"\r\n", b"").find(b"\n") < 0
    assert content.replace(b"\r\n", b"").find(b"\r") < 0
    assert max(map(len, content.split(b"\r\n"))) <= most


@given(LINES)
def test_a_subject_comes_back(subject: str) -> None:
    content = composed(subject=subject)
    check_lines(content)
    header = parse_header(split_message(content)[0])
    field = header.first(b"subject")
    assert field is not None
    assert decode_words(field.value.decode("ascii")) == subject
    assert str(make_header(decode_header(field.value.decode("ascii")))) == subject


@given(
    st.lists(st.tuples(LINES, st.sampled_from(["a@x.example", "o'b+c@y.example"])), min_size=1, max_size=5)
)
def test_names_and_addresses_come_back(named: list[tuple[str, str]]) -> None:
    to = tuple(Address(read_address(address).mailbox, name) for name, address in named)
    content = composed(to=to)
    check_lines(content)
    field = parse_header(split_message(content)[0]).first(b"to")
    assert field is not None
    assert [str(one) for one in parse_mailbox_list(field.value)] == [address for _, address in named]
    back = email.utils.getaddresses([field.value.decode("ascii")])
    assert [address for _, address in back] == [address for _, address in named]
    shown = [str(make_header(decode_header(name))) for name, _ in back]
    assert [" ".join(name.split()) for name in shown] == [" ".join(name.split()) for name, _ in named]


@given(TEXTS, TEXTS)
def test_bodies_come_back(text: str, html: str) -> None:
    content = composed(text=text, html=html)
    check_lines(content, 78)
    message = parsed(content)
    assert message.get_content_type() == "multipart/alternative"
    plain, rich = message.get_payload()  # type: ignore[misc]
    assert text_of(plain) == ended(text)  # type: ignore[arg-type]
    assert text_of(rich) == ended(html)  # type: ignore[arg-type]


@given(TEXTS)
def test_a_text_alone_comes_back(text: str) -> None:
    content = composed(text=text)
    check_lines(content, 78)
    assert text_of(parsed(content)) == ended(text)


FILES = st.builds(
    Attachment,
    LINES.map(str.strip).filter(bool),
    st.sampled_from(["application/pdf", "text/csv; charset=utf-8", "image/png"]),
    st.binary(max_size=500),
    st.sampled_from([None, "logo", "<logo@acme.example>"]),
)


@given(st.lists(FILES, max_size=4, unique_by=lambda file: file.name), st.booleans())
def test_files_come_back(files: list[Attachment], with_html: bool) -> None:
    content = composed(text="hi", html="<p>hi</p>" if with_html else None, attachments=tuple(files))
    check_lines(content, 200)
    parts = [part for part in parsed(content).walk() if part.get_content_disposition() is not None]
    found = {name_of(part): part.get_payload(decode=True) for part in parts}
    assert found == {file.name: file.content for file in files}
    inline = {name_of(part) for part in parts if part.get_content_disposition() == "inline"}
    assert inline == {file.name for file in files if with_html and file.content_id is not None}
    block, body = split_message(content)
    scan = scan_attachments(parse_header(block), body)
    assert not scan.truncated
    assert sorted(one.size for one in scan.attachments) == sorted(len(file.content) for file in files)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_nothing_can_be_smuggled_into_the_header(subject: str, name: str, own: str, file: str) -> None:
    asked = OutgoingMessage(
        to=(Address(Mailbox("bob", "there.example"), name),),
        subject=subject,
        headers=(("X-Own", own),),
        text="hi",
        attachments=(Attachment(file, "text/plain", b"x"),),
    )
    try:
        content = compose(asked, ME, TOKEN).content
    except Invalid:
        return
    check_lines(content)
    block, body = split_message(content)
    names = [field.key for field in parse_header(block).fields]
    assert names == [b"from", b"to", b"subject", b"x-own", b"mime-version", b"content-type"]
    assert body.count(b"--=_m_" + TOKEN.encode()) == 3
    parts = parsed(content).get_payload()
    assert [len(part.keys()) for part in parts] == [2, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name",
    [
        "From",
        "sender",
        "BCC",
        "Received",
        "DKIM-Signature",
        "Content-Type",
        "Resent-From",
        "ARC-Seal",
        "X-Gatepost-Tag",
        "Return-Path",
        "MIME-Version",
        "Date",
        "Authentication-Results",
    ],
)
def test_fields_that_the_gateway_makes_cannot_be_given(name: str) -> None:
    with pytest.raises(Invalid, match=name) as caught:
        composed(headers=((name, "x"),))
    assert caught.value.code == "bad-header"


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\nBcc", "Bücher", "X" * 77, "From "])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        composed(headers=((name, "x"),))


def test_threading_fields_hold_message_ids_only() -> None:
    content = composed(
        headers=(("In-Reply-To", "<1@x.example>"), ("References", "<1@x.example> <2@x.example>"))
    )
    assert b"References: <1@x.example> <2@x.example>\r\n" in content
    for bad in ("1@x.example", "<1@x.example>,<2>", "<1@x.example> hello"):
        with pytest.raises(Invalid):
            composed(headers=(("References", bad),))


def test_bcc_is_in_no_field_and_alone_hides_behind_a_group() -> None:
    secret = read_address("secret@there.example")
    assert b"secret" not in composed(bcc=(secret,))
    content = compose(OutgoingMessage(bcc=(secret,)), ME, TOKEN).content
    assert b"To: undisclosed-recipients:;\r\n" in content
    assert b"secret" not in content


def test_a_domain_is_written_as_dns_has_it_and_only_local_parts_need_smtputf8() -> None:
    idn = compose(OutgoingMessage(to=(read_address("Bo <bo@bücher.example>"),)), ME, TOKEN)
    assert b"To: Bo <bo@xn--bcher-kva.example>\r\n" in idn.content
    assert not idn.smtputf8
    local = compose(OutgoingMessage(to=(read_address("bö@there.example"),)), ME, TOKEN)
    assert "To: bö@there.example\r\n".encode() in local.content
    assert local.smtputf8
    assert compose(OutgoingMessage(bcc=(read_address("bö@there.example"),)), ME, TOKEN).smtputf8


def test_the_parts_stand_as_mail_readers_expect() -> None:
    files = (
        Attachment("logo.png", "image/png", b"\x89PNG", "logo"),
        Attachment("a.pdf", "application/pdf", b"%PDF"),
    )
    message = parsed(composed(text="t", html="<img src=cid:logo>", attachments=files))
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (Attachment("", "text/plain", b""), "name"),
        (Attachment("x" * 256, "text/plain", b""), "name"),
        (Attachment("a\r\nb", "text/plain", b""), "control character"),
        (Attachment("a", "text", b""), "media type"),
        (Attachment("a", "text/plain\r\nX: y", b""), "media type"),
        (Attachment("a", "multipart/mixed", b""), "multipart"),
        (Attachment("a", "message/rfc822", b"x" * 999), "998"),
        (Attachment("a", "image/png", b"", "a>b"), "content id"),
    ],
)
def test_a_file_that_cannot_be_sent_is_named(file: Attachment, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        composed(attachments=(file,))
    assert caught.value.code == "bad-attachment"


def test_a_message_inside_stays_as_it_is() -> None:
    inner = b"From: a@b.example\nSubject: h\xc3\xa9\n\nhello\n"
    content = composed(attachments=(Attachment("m.eml", "message/rfc822", inner),))
    assert inner.replace(b"\n", b"\r\n") in content
    assert b"Content-Transfer-Encoding: 8bit" in content


def test_a_date_is_set_only_where_the_message_waits_for_it() -> None:
    asked = OutgoingMessage(to=(ME,))
    assert (
        b"\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n" in compose(asked, ME, TOKEN, 1_800_000_000.0).content
    )
    assert b"\r\nDate:" not in compose(asked, ME, TOKEN).content


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@b.example", None, "a@b.example"),
        ("Ann Lee <a@b.example>", "Ann Lee", "a@b.example"),
        ('"Lee, \\"Ann\\"" <a@b.example>', 'Lee, "Ann"', "a@b.example"),
        ("<a@b.example>", None, "a@b.example"),
    ],
)
def test_addresses_are_read_in_both_forms(text: str, name: str | None, address: str) -> None:
    found = read_address(text)
    assert (found.name, str(found.mailbox)) == (name, address)


@pytest.mark.parametrize(
    "text", ["", "a", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "<>"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_address(text)
    assert caught.value.code == "bad-address"
