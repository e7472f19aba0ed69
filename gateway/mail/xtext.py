"""xtext: how ESMTP parameters carry any octet (RFC 3461 §4, RFC 6533 §3)."""

from __future__ import annotations

import re

_XTEXT = re.compile(rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEX = re.compile(rb"\+([0-9A-F]{2})")
_TO_ENCODE = re.compile(rb"[^!-*,-<>-~]")
_UNITEXT = re.compile(r"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})*")
_UNICODE = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


class XtextError(ValueError):
    """No xtext: a character that has to be written as a plus sign and two hexadecimal digits."""


def encode_xtext(text: str) -> str:
    """`text` as xtext; what is not ASCII goes as the octets of its UTF-8."""
    return _TO_ENCODE.sub(lambda match: b"+%02X" % match[0][0], text.encode()).decode("ascii")


def decode_xtext(xtext: str) -> str:
    """The text behind `xtext`. Raises XtextError."""
    if not xtext.isascii():
        raise XtextError("xtext is ASCII only")
    octets = xtext.encode("ascii")
    if not _XTEXT.fullmatch(octets):
        raise XtextError("xtext has a + without two upper-case hexadecimal digits, an = or a space")
    try:
        return _HEX.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), octets).decode("utf-8")
    except UnicodeDecodeError:
        raise XtextError("xtext encodes octets that are not UTF-8") from None


def decode_unitext(unitext: str) -> str:
    """The address in an ORCPT of type utf-8, its `\\x{HEX}` undone (RFC 6533 §3). Raises XtextError."""
    if not _UNITEXT.fullmatch(unitext):
        raise XtextError("a utf-8 address has a character that has to be written as \\x{...}")
    try:
        return _UNICODE.sub(lambda match: chr(int(match[1], 16)), unitext)
    except (ValueError, OverflowError):
        raise XtextError("a utf-8 address names a character over U+10FFFF") from None


def encode_unitext(address: str) -> str:
    """The address in ASCII, for an address type of utf-8 (RFC 6533 §3, utf-8-addr-xtext)."""
    return "".join(
        character
        if character.isascii() and character.isprintable() and character not in " +=\\"
        else f"\\x{{{ord(character):02X}}}"
        for character in address
    )
