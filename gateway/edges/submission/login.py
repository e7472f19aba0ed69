"""What AUTH PLAIN and AUTH LOGIN say (RFC 4616, RFC 4954), and how a denial is answered."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.control.directory import login_name
from gateway.edges.smtp import replies
from gateway.mail.reply import Reply

if TYPE_CHECKING:
    from gateway.control.credentials.signin import Denied

AUTH_OCTETS = 12_288
"""An AUTH line or an answer to a challenge, CRLF included (RFC 4954 §4)."""
USER_CHALLENGE = b"334 VXNlcm5hbWU6\r\n"
PASSWORD_CHALLENGE = b"334 UGFzc3dvcmQ6\r\n"
EMPTY_CHALLENGE = b"334 \r\n"


class LoginSyntaxError(ValueError):
    """What came is not what the mechanism asks for; `reply` is the answer to it."""

    def __init__(self, reply: bytes = replies.AUTH_MALFORMED) -> None:
        super().__init__(reply)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client claims to know. The password stays out of printed forms."""

    login: str
    password: str = field(repr=False)
    authzid: str = ""

    @property
    def is_for_itself(self) -> bool:
        """Whether nobody else's identity is asked for: we know no proxying."""
        return not self.authzid or login_name(self.authzid) == login_name(self.login)


def decode_base64(octets: bytes) -> bytes:
    """Strict base64 (RFC 4954 §4: no other characters). Raises LoginSyntaxError."""
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error as error:
        raise LoginSyntaxError(replies.AUTH_NOT_BASE64) from error


def decode_initial(octets: bytes) -> bytes:
    """An initial response: `=` stands for an empty one."""
    return b"" if octets == b"=" else decode_base64(octets)


def as_text(octets: bytes) -> str:
    """UTF-8 without NUL, as both mechanisms ask for. Raises LoginSyntaxError."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LoginSyntaxError from error
    if "\0" in text:
        raise LoginSyntaxError
    return text


def parse_plain(message: bytes) -> Credentials:
    """`[authzid] NUL authcid NUL passwd` (RFC 4616 §2). Raises LoginSyntaxError."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise LoginSyntaxError
    authzid, login, password = map(as_text, parts)
    return Credentials(login, password, authzid)


def denial(denied: Denied) -> Reply:
    """535 for good, 454 for now; the text is the authenticator's, which says no more than it may."""
    if denied.temporary:
        return Reply(454, "4.7.0", denied.text)
    return Reply(535, "5.7.8", denied.text)
