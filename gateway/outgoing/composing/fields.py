"""Header fields from texts (RFC 5322, RFC 2047, RFC 2231): what a reader decodes is the text that came in.

A text with a control character has no field at all: it raises ValueError, so that nobody ends a line in one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from gateway.mail.address import Mailbox
from gateway.mail.idna import to_ascii

LINE_OCTETS = 78
"""Where lines are folded if they can be (RFC 5322 §2.1.1)."""

_LONGEST_WORD = 990
_ENCODED_WORD = 75
_PARAMETER_OCTETS = 60

_CHUNKS = re.compile(r" +[^ ]+")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def text_field(name: str, text: str) -> bytes:
    """An unstructured field. Raises ValueError for a control character."""
    _check(text)
    chunks = _CHUNKS.findall(" " + text)
    plain = text.isascii() and "=?" not in text and text == text.strip(" ")
    if plain and all(len(name) + len(chunk) < _LONGEST_WORD for chunk in chunks):
        return _folded(name, chunks)
    words = list(encoded_words(text, len(name) + 2))
    return f"{name}: ".encode("ascii") + "\r\n ".join(words).encode("ascii") + b"\r\n"


def address_field(name: str, addresses: Sequence[tuple[Mailbox, str | None]]) -> bytes:
    """A field of addresses with their names, one a line. Raises ValueError for a control character."""
    shown = [_address(mailbox, display_name) for mailbox, display_name in addresses]
    return f"{name}: ".encode("ascii") + ",\r\n ".join(shown).encode("utf-8") + b"\r\n"


def parameter(name: str, value: str) -> str:
    """A parameter of a content field, folded before itself: `;\\r\\n filename="a.txt"`."""
    _check(value)
    if value.isascii() and "=?" not in value:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f';\r\n {name}="{quoted}"'
    encoded = "utf-8''" + quote(value, safe="")
    pieces = list(_percent_pieces(encoded))
    if len(pieces) == 1:
        return f";\r\n {name}*={pieces[0]}"
    return "".join(f";\r\n {name}*{number}*={piece}" for number, piece in enumerate(pieces))


def encoded_words(text: str, used: int = 0) -> Iterator[str]:
    """The encoded words that `text` is, in the shorter of the two encodings; no character is cut.

    `used` octets of the first line are taken already.
    """
    octets = text.encode("utf-8")
    safe = sum(octet in _Q_SAFE or octet == 0x20 for octet in octets)
    as_q = 3 * len(octets) - 2 * safe <= 4 * len(octets) // 3
    room = max(_ENCODED_WORD - used - 12, 12)
    part = ""
    for character in text:
        if part and _length(part + character, as_q) > room:
            yield _word(part, as_q)
            part, room = "", _ENCODED_WORD - 12
        part += character
    yield _word(part, as_q)


def wire_mailbox(mailbox: Mailbox) -> Mailbox:
    """The address with its domain in A-labels, so that only its local part may need SMTPUTF8."""
    if mailbox.domain.isascii():
        return mailbox
    return Mailbox(mailbox.local, to_ascii(mailbox.domain))


def _folded(name: str, chunks: Sequence[str]) -> bytes:
    lines = [f"{name}:"]
    for chunk in chunks:
        if len(lines[-1]) + len(chunk) <= LINE_OCTETS or lines == [f"{name}:"]:
            lines[-1] += chunk
        else:
            lines.append(chunk)
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _address(mailbox: Mailbox, name: str | None) -> str:
    if not name:
        return str(mailbox)
    return f"{_phrase(name)} <{mailbox}>"


def _phrase(name: str) -> str:
    _check(name)
    clean = name.isascii() and "=?" not in name and " ".join(name.split()) == name
    if clean and _ATOMS.fullmatch(name):
        return name
    if clean:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return "\r\n ".join(encoded_words(name))


def _check(text: str) -> None:
    found = _CONTROL.search(text)
    if found is not None:
        raise ValueError(f"has the control character U+{ord(found[0]):04X}")


def _length(text: str, as_q: bool) -> int:
    return len(_q(text)) if as_q else 4 * ((len(text.encode("utf-8")) + 2) // 3)


def _word(text: str, as_q: bool) -> str:
    if as_q:
        return f"=?utf-8?q?{_q(text)}?="
    return f"=?utf-8?b?{base64.b64encode(text.encode('utf-8')).decode('ascii')}?="


def _q(text: str) -> str:
    return "".join(
        "_" if octet == 0x20 else chr(octet) if octet in _Q_SAFE else f"={octet:02X}"
        for octet in text.encode("utf-8")
    )


def _percent_pieces(encoded: str) -> Iterator[str]:
    """Pieces of a percent-encoded text; `%C3` is never cut."""
    while len(encoded) > _PARAMETER_OCTETS:
        end = _PARAMETER_OCTETS
        cut = encoded.rfind("%", end - 2, end)
        end = end if cut < 0 else cut
        yield encoded[:end]
        encoded = encoded[end:]
    yield encoded
