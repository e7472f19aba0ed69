"""The replies that every session gives, ready for the wire."""

from __future__ import annotations

from gateway.mail.reply import Reply


def wire(code: int, enhanced: str, text: str) -> bytes:
    """One reply's octets."""
    return Reply(code, enhanced, text).wire()


OK = wire(250, "2.0.0", "OK")
RESET = wire(250, "2.0.0", "forgotten")
SENDER_OK = wire(250, "2.1.0", "sender OK")
RECIPIENT_OK = wire(250, "2.1.5", "recipient OK")
SEND_CONTENT = b"354 end the message with <CR><LF>.<CR><LF>\r\n"
GOODBYE = wire(221, "2.0.0", "goodbye")
START_TLS = wire(220, "2.0.0", "ready for TLS")
VERIFY_NOT = wire(252, "2.0.0", "addresses are not verified; send the message and see")

TLS_FIRST = wire(530, "5.7.0", "say STARTTLS first, or connect to the port with TLS from the start")
LOGIN_FIRST = wire(530, "5.7.0", "log in first (AUTH)")
HELLO_FIRST = wire(503, "5.5.1", "say EHLO first")
NO_ARGUMENT = wire(501, "5.5.4", "this command takes no argument")
ARGUMENT_MISSING = wire(501, "5.5.4", "this command needs an argument")
UNKNOWN = wire(500, "5.5.1", "no such command")
NOT_OFFERED = wire(502, "5.5.1", "this command is not offered here")
EMPTY_LINE = wire(500, "5.5.2", "a command was expected")
NOT_UTF8 = wire(501, "5.5.2", "the command has octets that are not UTF-8")
LINE_TOO_LONG = wire(500, "5.5.2", "the command line is too long")
BARE_NEWLINE = wire(500, "5.5.2", "lines end with CRLF; a CR or LF alone is refused")
ALREADY_TLS = wire(503, "5.5.1", "TLS is in use already")
NO_TLS = wire(454, "4.7.0", "TLS is not available at the moment; try again later")
EARLY_TLS = wire(554, "5.5.1", "nothing may follow STARTTLS before the handshake")

MAIL_FIRST = wire(503, "5.5.1", "say MAIL FROM first")
MAIL_TWICE = wire(503, "5.5.1", "a transaction is open already; RSET ends it")
RECIPIENT_FIRST = wire(503, "5.5.1", "say RCPT TO first")
NO_RECIPIENT = wire(554, "5.5.1", "no recipient was accepted")
CHUNKS_BEGUN = wire(503, "5.5.1", "BDAT has begun; only BDAT or RSET may follow")
DATA_TOO_BIG = "the message is larger than {limit} octets, the most that may be sent here"

AUTH_TWICE = wire(503, "5.5.1", "you are logged in already")
AUTH_UNKNOWN = wire(504, "5.5.4", "this mechanism is not offered; PLAIN and LOGIN are")
AUTH_CANCELLED = wire(501, "5.7.0", "authentication cancelled")
AUTH_NOT_BASE64 = wire(501, "5.5.2", "this is not base64")
AUTH_MALFORMED = wire(501, "5.5.2", "this is not what the mechanism asks for")
AUTH_TOO_LONG = wire(500, "5.5.6", "the authentication exchange line is too long")
AUTH_OTHER_IDENTITY = wire(535, "5.7.8", "the authorisation identity has to be the login itself, or empty")
AUTH_OK = wire(235, "2.7.0", "logged in")


def closing(enhanced: str, hostname: str, text: str) -> bytes:
    """A 421, which names the host (RFC 5321 §3.8): the connection is closed behind it."""
    return Reply(421, enhanced, f"{hostname} {text}").wire()
