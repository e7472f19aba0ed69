"""Attachments: found where mail programs find them, typed by content, whatever the input."""

from __future__ import annotations

import base64
import binascii
import io
import time
import zipfile
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.headers import parse_header, split_message
from gateway.mail.mime import MimeScan, decode_words, detect_type, parse_content_value, scan_attachments
from gateway.mail.mime.scan import PART_FIELDS_LIMIT

EXE = b"MZ\x90\x00\x03\x00\x00\x00" + b"\x00" * 60


def scan(content: bytes, **limits: int) -> MimeScan:
    header, body = split_message(content)
    return scan_attachments(parse_header(header), body, **limits)


def part(*lines: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n"


def mixed(*parts: bytes) -> bytes:
    head = b'Content-Type: multipart/mixed; boundary="B"\r\n\r\npreamble\r\n'
    return head + b"".join(b"--B\r\n" + one for one in parts) + b"--B--\r\nepilogue\r\n"


def test_plain_text_has_none() -> None:
    assert scan(b"Subject: x\r\n\r\nhello\r\n") == MimeScan((), 1, 0, False)
    assert scan(b"") == MimeScan((), 1, 0, False)
    alternative = EmailMessage()
    alternative.set_content("hello")
    alternative.add_alternative("<html><p>hello</html>", subtype="html")
    assert scan(alternative.as_bytes(policy=SMTP)) == MimeScan((), 3, 1, False)


def test_attachments_of_a_usual_message() -> None:
    message = EmailMessage()
    message.set_content("hello")
    message.add_attachment(EXE, maintype="application", subtype="pdf", filename="Rechnung für Jörg.pdf")
    message.add_attachment("a,b\n", subtype="csv", filename="table.csv")
    message.add_attachment(
        b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", disposition="inline", cid="<x>"
    )
    found = scan(message.as_bytes(policy=SMTP))
    assert [(one.name, one.declared_type, one.detected_type, one.size) for one in found.attachments] == [
        ("Rechnung für Jörg.pdf", "application/pdf", "application/x-dosexec", len(EXE)),
        ("table.csv", "text/csv", None, 5),
        ("", "image/png", "image/png", 8),
    ]
    assert (found.parts, found.depth, found.truncated) == (5, 1, False)


def test_a_message_that_is_nothing_but_a_file() -> None:
    content = (
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(EXE)
    )
    (found,) = scan(content).attachments
    assert (found.detected_type, found.size) == ("application/x-dosexec", len(EXE))


def test_a_message_inside_is_looked_into_and_counts_where_it_says_so() -> None:
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("x")
    inner.add_attachment(EXE, maintype="application", subtype="octet-stream", filename="inner.exe")
    outer = EmailMessage()
    outer.set_content("see inside")
    outer.add_attachment(inner, filename="forwarded.eml")
    outer.add_attachment(b"%PDF-1.7\n", maintype="application", subtype="pdf", filename="after.pdf")
    found = scan(outer.as_bytes(policy=SMTP))
    assert [one.name for one in found.attachments] == ["inner.exe", "forwarded.eml", "after.pdf"]
    assert found.depth == 3
    assert scan(MIMEMessage(inner).as_bytes(policy=SMTP)).attachments[0].name == "inner.exe"


def test_a_message_inside_that_is_encoded_is_a_file() -> None:
    encoded = part(b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64", b"", b"eA==")
    (found,) = scan(mixed(encoded)).attachments
    assert (found.declared_type, found.size) == ("message/rfc822", 1)


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise() -> None:
    head = b"Content-Type: multipart/digest; boundary=B\r\n\r\n"
    found = scan(head + b"--B\r\n\r\nContent-Type: a/b\r\n\r\nx\r\n--B--\r\n")
    assert [one.declared_type for one in found.attachments] == ["a/b"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b'Content-Disposition: attachment; filename="a b.exe"', "a b.exe"),
        (b"Content-Disposition: attachment; filename=a.exe", "a.exe"),
        (b"CONTENT-DISPOSITION : ATTACHMENT ;\r\n FILENAME=a.exe ;size=1", "a.exe"),
        (b'Content-Disposition: attachment; filename="a\\"b.exe"', 'a"b.exe'),
        (b'Content-Disposition: attachment; filename="a.exe', "a.exe"),
        (b"Content-Disposition: attachment; filename*=utf-8''%e2%82%ac.exe", "€.exe"),
        (b"Content-Disposition: attachment; filename*=iso-8859-1'de'%e4.exe", "ä.exe"),
        (b"Content-Disposition: attachment; filename*0=a; filename*2=exe; filename*1=b.", "ab.exe"),
        (
            b"Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1*=%a4; filename*2=.exe",
            "ä.exe",
        ),
        (b'Content-Disposition: attachment; filename="=?utf-8?B?w6QuZXhl?="', "ä.exe"),
        (b'Content-Disposition: attachment; filename="=?utf-8?Q?=C3=A4?= =?utf-8?Q?.exe?="', "ä.exe"),
        (b"Content-Disposition: attachment; filename=\xc3\xa4.exe", "ä.exe"),
        (b"Content-Disposition: attachment; filename=\xe4.exe", "ä.exe"),
        (b'Content-Type: text/plain; name="a.exe"', "a.exe"),
        (b'Content-Disposition: attachment; filename="a.exe. . "', "a.exe"),
        (b"Content-Disposition: attachment; filename*=utf-8''a%00.exe%0d%0a", "a.exe"),
        (b"Content-Disposition: attachment; filename*=zlib''a.exe", "a.exe"),
        (b"Content-Disposition: attachment", ""),
    ],
)
def test_names_as_programs_write_them(header: bytes, name: str) -> None:
    found = scan(mixed(part(header, b"", b"x")))
    assert [one.name for one in found.attachments] == [name]


def test_two_names_are_both_told() -> None:
    found = scan(
        mixed(
            part(
                b"Content-Type: text/plain; name=a.exe",
                b"Content-Disposition: attachment; filename=a.txt",
                b"",
                b"",
            )
        )
    )
    assert (found.attachments[0].name, found.attachments[0].other_names) == ("a.txt", ("a.exe",))


def test_a_boundary_is_never_decoded() -> None:
    head = b'Content-Type: multipart/mixed; boundary="=?utf-8?q?B?="\r\n\r\n'
    assert len(scan(head + b"--=?utf-8?q?B?=\r\nContent-Type: a/b\r\n\r\nx\r\n").attachments) == 1


@pytest.mark.parametrize(
    "body",
    [
        base64.encodebytes(EXE),
        b"!!!" * 3000 + base64.b64encode(EXE),
        base64.b64encode(EXE)[:-3],
        b"\r\n\r\n" + base64.b64encode(EXE) + b"=",
    ],
)
def test_base64_as_readers_take_it(body: bytes) -> None:
    found = scan(mixed(part(b"Content-Type: image/png", b"Content-Transfer-Encoding: BASE64", b"", body)))
    assert found.attachments[0].detected_type == "application/x-dosexec"


def test_other_encodings() -> None:
    quoted = part(
        b"Content-Type: a/b", b"Content-Transfer-Encoding: quoted-printable", b"", b"=4D=5A=90=00x=\r\ny"
    )
    raw = part(b"Content-Type: a/b", b"Content-Transfer-Encoding: binary", b"", EXE)
    twice = part(
        b"Content-Type: a/b",
        b"Content-Transfer-Encoding: 7bit",
        b"Content-Transfer-Encoding: base64",
        b"",
        b"TVqQAAMA",
    )
    uu = part(
        b"Content-Type: a/b",
        b"Content-Transfer-Encoding: x-uuencode",
        b"",
        b"begin 644 x",
        binascii.b2a_uu(EXE[:45]),
    )
    found = scan(mixed(quoted, raw, twice, uu))
    assert [one.detected_type for one in found.attachments] == ["application/x-dosexec"] * 4
    assert [one.size for one in found.attachments][:2] == [6, len(EXE)]


def test_files_hidden_in_plain_text() -> None:
    lines = b"".join(binascii.b2a_uu(EXE[start : start + 45]) for start in range(0, len(EXE), 45))
    text = (b"begin the day\nhello\nbegin 644 evil.exe\n" + lines + b"`\nend\nbye\n").replace(b"\n", b"\r\n")
    (found,) = scan(b"Subject: x\r\n\r\n" + text).attachments
    assert (found.name, found.detected_type) == ("evil.exe", "application/x-dosexec")


def test_text_about_file_formats_is_no_file() -> None:
    for text in (
        b"MZ is how programs begin",
        b"#!/bin/sh\r\necho",
        b"%PDF-1.4 is a version",
        b"PK\x03\x04 in print",
    ):
        assert scan(b"Subject: x\r\n\r\n" + text).attachments == ()
    assert scan(b"Subject: x\r\n\r\n" + EXE).attachments[0].detected_type == "application/x-dosexec"


def test_delimiters_that_are_none() -> None:
    text = part(b"Content-Type: text/plain", b"", b"--Bx", b"-- ", b"--", b" --B", b"x--B--", b"--C")
    file = part(b"Content-Type: a/b", b"", b"x")
    found = scan(mixed(text, file))
    assert (found.parts, len(found.attachments)) == (3, 1)


def test_white_space_after_a_delimiter_is_let_pass() -> None:
    content = (
        b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B \t\r\nContent-Type: a/b\r\n\r\nx\r\n--B-- \r\n"
    )
    assert len(scan(content).attachments) == 1


def test_parts_without_end_header_or_content() -> None:
    head = b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
    assert scan(head + b"--B").parts == 2
    assert scan(head + b"--B\r\n--B\r\n--B--\r\n").parts == 3
    assert (
        scan(head + b"--B\r\nContent-Type: a/b\r\n--B\r\nContent-Type: c/d\r\n\r\nx")
        .attachments[1]
        .declared_type
        == "c/d"
    )
    assert scan(head + b"--B\r\nContent-Type: a/b").attachments[0].size == 0
    assert scan(b"Content-Type: multipart/mixed\r\n\r\n--B\r\n\r\nx").parts == 1


def test_an_outer_delimiter_ends_what_is_inside() -> None:
    inner = part(b"Content-Type: multipart/mixed; boundary=I", b"", b"--I", b"Content-Type: a/b", b"", b"x")
    found = scan(mixed(inner, part(b"Content-Type: c/d", b"", b"y")))
    assert [one.declared_type for one in found.attachments] == ["a/b", "c/d"]
    assert found.attachments[0].size == 1


def test_limits_are_told() -> None:
    many = mixed(*[part(b"", b"x")] * 50)
    assert not scan(many, max_parts=51).truncated
    assert scan(many, max_parts=50).truncated
    deep = b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (level, level + 1)
        for level in range(30)
    )
    assert not scan(deep, max_depth=30).truncated
    assert scan(deep, max_depth=29).truncated
    chain = b"Content-Type: message/rfc822\r\n\r\n" * 30
    assert not scan(chain, max_depth=30).truncated
    assert scan(chain, max_depth=29).truncated
    assert scan(
        mixed(
            part(b"Content-Type: multipart/mixed; boundary=I", b"Content-Transfer-Encoding: base64", b"", b"")
        )
    ).truncated


def test_an_endless_header_of_a_part_is_not_parsed() -> None:
    """A message full of them would keep a thread busy for many seconds."""
    named = b"Content-Type: application/pdf; name=a.pdf"
    found = scan(mixed(part(*[b"a:"] * (PART_FIELDS_LIMIT - 1), named, b"", b"x")))
    assert (len(found.attachments), found.truncated) == (1, False)
    found = scan(mixed(part(*[b"a:"] * PART_FIELDS_LIMIT, named, b"", b"x")))
    assert (found.attachments, found.truncated) == ((), True)


@pytest.mark.parametrize(
    "body",
    [
        b"--\r\n" * 1_000_000,
        b"--B\r\n" * 1_000_000,
        b"--B\r\n" * 1_000 + b"x" * 10_000_000,
        b"--B\r\nContent-Type: text/plain" + b";" * 1_000_000,
        b"--B\r\nContent-Type: text/plain; " + b" " * 1_000_000,
        b"--B\r\nContent-Type: text/plain; a=" + b'"\\' * 500_000,
        b"--B\r\nContent-Disposition: attachment; filename=" + b"=?a?q?" * 200_000,
        b"--B\r\n" + b"X:\r\n" * 1_000_000,
        b"--B\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"\r\n" * 5_000_000,
        b"--B\r\n\r\n" + b"begin 644 x\r\n" * 500_000,
        b"x" * 10_000_000,
    ],
)
def test_hostile_bodies_are_done_in_seconds(body: bytes) -> None:
    started = time.perf_counter()
    scan(b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + body)
    assert time.perf_counter() - started < 5


TOKENS = st.lists(
    st.sampled_from(
        [
            b"--B\r\n",
            b"--B--\r\n",
            b"--I\r\n",
            b"--I--\r\n",
            b"\r\n",
            b"\r",
            b"\n",
            b"x",
            b"--",
            b'"',
            b";",
            b"Content-Type: ",
            b"multipart/mixed; boundary=B",
            b"multipart/digest; boundary=I",
            b"a/b; name=",
            b"message/rfc822",
            b"text/plain",
            b"TVqQ",
            b"MZ",
            b"\x00",
            b"=?utf-8?q?=ff?=",
            b"begin 644 a\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Transfer-Encoding: x-uuencode\r\n",
            b"Content-Disposition: attachment; filename*0*=",
            b"#35J0\r\n",
        ]
    ),
    max_size=40,
).map(b"".join)


@given(TOKENS | st.binary(max_size=200))
def test_it_never_raises_and_counts_within_bounds(content: bytes) -> None:
    for message in (content, b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + content):
        found = scan(message, max_parts=10, max_depth=4)
        assert 1 <= found.parts <= 15
        assert found.depth <= 5
        for one in found.attachments:
            assert 0 <= one.size <= len(message)
            assert not set(one.name) & set("\r\n\x00")


@given(st.lists(st.tuples(st.binary(max_size=80), st.text(min_size=1, max_size=10)), max_size=4))
def test_what_the_standard_library_attaches_is_found(files: list[tuple[bytes, str]]) -> None:
    message = EmailMessage(policy=SMTP)
    message.set_content("x")
    wanted = []
    for content, raw_name in files:
        name = "".join(character for character in raw_name if character.isprintable()).strip(" .") + "x"
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        wanted.append((name, len(content)))
    found = scan(message.as_bytes())
    assert [(one.name, one.size) for one in found.attachments] == wanted


def test_types_by_content() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "x")
    samples = {
        archive.getvalue(): "application/zip",
        EXE: "application/x-dosexec",
        b"\x7fELF\x02": "application/x-executable",
        b"\xcf\xfa\xed\xfe\x07": "application/x-mach-binary",
        b"\xca\xfe\xba\xbe\x00\x00\x00\x02": "application/x-mach-binary",
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34": "application/x-java-applet",
        b"#!/bin/sh\n": "text/x-shellscript",
        b"Rar!\x1a\x07\x01\x00": "application/x-rar",
        b"7z\xbc\xaf\x27\x1c": "application/x-7z-compressed",
        b"\x1f\x8b\x08": "application/gzip",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "application/x-ole-storage",
        b"\xff\xfejunk %PDF-1.4": "application/pdf",
        b"GIF89a": "image/gif",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
        b"\x00\x00\x00\x18ftypmp42": "video/mp4",
        b"\x00" * 257 + b"ustar\x00": "application/x-tar",
        b"\x00" * 0x8001 + b"CD001": "application/x-iso9660-image",
        b"\xef\xbb\xbf\r\n <!DOCTYPE html>": "text/html",
        b"<?xml version='1.0'?><svg >": "image/svg+xml",
        b"<?xml version='1.0'?><x>": "text/xml",
        b"hello": None,
        b"": None,
    }
    assert {content: detect_type(content) for content in samples} == samples


def test_words_that_cannot_be_decoded_stay() -> None:
    assert decode_words("=?utf-8?B?A?=") == "=?utf-8?B?A?="
    assert decode_words("a =?x?Q?=41?= b") == "a A b"
    assert decode_words("=?utf-8?Q?a_b?=") == "a b"


@given(st.binary(max_size=80))
def test_content_values_never_raise(value: bytes) -> None:
    assert isinstance(parse_content_value(value).value, str)
