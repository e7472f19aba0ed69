"""Who speaks in a submission session: EHLO, AUTH, and whether the identity still stands."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

from gateway.control.credentials.signin import Accepted, Denied
from gateway.control.directory import Refused, RefusedReason
from gateway.edges.smtp import replies
from gateway.edges.smtp.connection import SmtpConnection
from gateway.edges.smtp.limits import address_group
from gateway.edges.smtp.wire import ENVELOPE_OCTETS
from gateway.edges.submission import login
from gateway.edges.submission.login import AUTH_OCTETS, Credentials, LoginSyntaxError
from gateway.edges.submission.standing import is_final, standing_reply, standing_text
from gateway.outgoing.intake import ClientInfo
from gateway.system.database import DatabaseAway

if TYPE_CHECKING:
    from gateway.control.records import Identity
    from gateway.edges.submission.edge import SubmissionEdge

_BEFORE_LOGIN = frozenset(
    {b"EHLO", b"HELO", b"NOOP", b"RSET", b"QUIT", b"HELP", b"STARTTLS", b"AUTH", b"BDAT"}
)
_ODD_IN_HELO = re.compile(r"[^A-Za-z0-9.:\[\]_-]")


class AuthenticatedSession(SmtpConnection):
    """Holds the session's identity. `client` is set with it."""

    __slots__ = ("_account_key", "_attempts", "_credential_id", "client", "edge", "helo", "identity")

    def __init__(self, edge: SubmissionEdge, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(edge.host, loop)
        self.edge = edge
        self.helo = ""
        self.identity: Identity | None = None
        self.client: ClientInfo | None = None
        self._credential_id: str | None = None
        self._account_key: str | None = None
        self._attempts = 0

    # The connection begins and ends

    def admit(self) -> bytes | None:
        """Let the client in unless this process is full, or its address holds too many connections."""
        limits = self.host.limits
        if self.host.registry.draining:
            return self._turn_away("draining", "4.3.2", "is being restarted; come again")
        if len(self.host.registry) > limits.connections:
            return self._turn_away("connection_limit", "4.3.2", "has too many connections; come again later")
        if not self.edge.slots.acquire(
            self.edge.process_index, self._address_key, limits.connections_per_address
        ):
            text = f"your address has {limits.connections_per_address} connections already; close some"
            return self._turn_away("address_limit", "4.7.0", text)
        if self.tls is not None:
            self._lines.limit = AUTH_OCTETS
        return None

    def released(self) -> None:
        """Give back what the connection counted for."""
        slots, process = self.edge.slots, self.edge.process_index
        slots.release(process, self._address_key)
        if self._account_key is not None:
            slots.release(process, self._account_key)
            self._account_key = None

    def forget(self) -> None:
        """TLS has begun: only now may a client log in."""
        self.forget_transaction()
        self.helo = ""
        self._lines.limit = AUTH_OCTETS

    def gate(self, verb: bytes) -> bytes | None:
        """Before the login only what leads to it (RFC 3207 §4, RFC 4954 §6)."""
        if self.identity is not None or verb in _BEFORE_LOGIN:
            return None
        return self.login_first

    def line_limit(self, verb: bytes) -> int:
        """AUTH may be long."""
        return AUTH_OCTETS if verb == b"AUTH" else super().line_limit(verb)

    @property
    def login_first(self) -> bytes:
        """What a client hears that has not logged in."""
        return replies.TLS_FIRST if self.tls is None else replies.LOGIN_FIRST

    @property
    def _address_key(self) -> str:
        return f"address:{address_group(self.address)}"

    def _turn_away(self, reason: str, enhanced: str, text: str) -> bytes:
        self.host.metrics.connection_refused(reason)
        return self.closing(enhanced, text)

    # Greeting

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet and list what is offered: only what is there."""
        if not self._greeted(hostname, extended=True):
            return
        lines = [self.host.hostname, "PIPELINING", f"SIZE {self.size_limit}"]
        if self.tls is not None:
            lines.append("AUTH PLAIN LOGIN")
        elif self.host.tls() is not None:
            lines.append("STARTTLS")
        lines += ["ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "HELP"]
        text = "".join([f"250-{line}\r\n" for line in lines[:-1]]) + f"250 {lines[-1]}\r\n"
        self.say(text.encode("ascii"))

    @syntax("HELO hostname")
    async def smtp_HELO(self, hostname: str) -> None:
        """The greeting of old clients; what EHLO would have listed works all the same."""
        if self._greeted(hostname, extended=False):
            self.say(f"250 {self.host.hostname}\r\n".encode("ascii"))

    def _greeted(self, hostname: str, *, extended: bool) -> bool:
        if not hostname or " " in hostname:
            self.refuse(replies.ARGUMENT_MISSING)
            return False
        self.count_junk()
        self.forget_transaction()
        assert self.session is not None
        self.session.host_name = self.helo = _ODD_IN_HELO.sub("?", hostname[:255])
        self.session.extended_smtp = extended
        if self.identity is not None:
            self.client = self._describe_client()
        return True

    @property
    def size_limit(self) -> int:
        """The most octets a message may have: the installation's limit, or the policy's if that is less."""
        most = self.host.limits.message_octets
        own = self.identity.policy.message_bytes.value if self.identity is not None else None
        return most if own is None else min(most, own)

    # Logging in

    @syntax("AUTH PLAIN|LOGIN [initial-response]")
    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954, on TLS only, once in a session."""
        mechanism, _, initial = arg.partition(" ")
        read = {"PLAIN": self._read_plain, "LOGIN": self._read_login}.get(mechanism.upper())
        if self.tls is None:
            self.refuse(replies.TLS_FIRST)
        elif self.identity is not None:
            self.refuse(replies.AUTH_TWICE)
        elif not self.helo:
            self.refuse(replies.HELLO_FIRST)
        elif read is None:
            self.refuse(replies.AUTH_UNKNOWN if mechanism else replies.ARGUMENT_MISSING)
        else:
            try:
                credentials = await read(initial.strip(" ").encode("utf-8"))
            except LoginSyntaxError as error:
                self.refuse(error.reply)
                return
            if credentials is not None:
                await self._log_in(credentials)

    async def _read_plain(self, initial: bytes) -> Credentials | None:
        message = login.decode_initial(initial) if initial else await self._ask(login.EMPTY_CHALLENGE)
        return None if message is None else login.parse_plain(message)

    async def _read_login(self, initial: bytes) -> Credentials | None:
        name = login.decode_initial(initial) if initial else await self._ask(login.USER_CHALLENGE)
        if name is None:
            return None
        password = await self._ask(login.PASSWORD_CHALLENGE)
        return None if password is None else Credentials(login.as_text(name), login.as_text(password))

    async def _ask(self, challenge: bytes) -> bytes | None:
        """The answer to a challenge, or None: the client gave up, which is answered here."""
        self.say(challenge)
        line = await self.read_line()
        if line is None:
            self.refuse(replies.AUTH_TOO_LONG)
            return None
        if line == b"*":
            self.refuse(replies.AUTH_CANCELLED)
            return None
        return login.decode_base64(line)

    async def _log_in(self, credentials: Credentials) -> None:
        if not credentials.is_for_itself:
            self._denied("other_identity", replies.AUTH_OTHER_IDENTITY)
            return
        self.flush()
        decided = await self.edge.authenticator.verify(
            credentials.login, credentials.password, protocol="smtp", address=self.address
        )
        await self.pause(min(decided.delay_seconds, self.host.limits.login_delay_seconds))
        if isinstance(decided, Denied):
            self._denied(decided.reason.value, login.denial(decided).wire())
        else:
            self._let_in(decided)

    def _denied(self, reason: str, reply: bytes) -> None:
        self.host.metrics.login(reason)
        self.host.log.info("login_denied", reason=reason, protocol="smtp", address=self.address)
        self.refuse(reply)
        self._attempts += 1
        if self._attempts >= self.host.limits.login_attempts:
            self.cut("login_attempts", "4.7.0", "too many failed logins; closing")

    def _let_in(self, accepted: Accepted) -> None:
        identity = accepted.identity
        account = identity.account
        limit = identity.policy.connections_per_account.value
        if limit is not None:
            key = f"account:{account.id}"
            if not self.edge.slots.acquire(self.edge.process_index, key, limit):
                text = f"this account has {limit} connections already, its limit; close some"
                self.goodbye(self._turn_away("account_limit", "4.7.0", text))
            self._account_key = key
        self.identity = identity
        self._credential_id = identity.credential.id if identity.credential is not None else None
        assert self.session is not None
        self.session.authenticated = True
        self.client = self._describe_client()
        self.deadlines.login()
        self._lines.limit = ENVELOPE_OCTETS
        self.host.metrics.login("accepted")
        self.host.log.info(
            "login_accepted",
            protocol="smtp",
            address=self.address,
            account_id=account.id,
            tenant_id=account.tenant_id,
            credential_id=self._credential_id,
        )
        self.say(replies.AUTH_OK)

    def _describe_client(self) -> ClientInfo:
        return ClientInfo(self.address, self.port, self.helo, "ESMTPSA", self.tls)

    # Whether the identity still stands

    async def standing(self) -> Identity | None:
        """The session's identity as it is now, or None: it does not stand, which is answered here.

        A final refusal (revoked, suspended, switched off) is followed by 421 and ends the session.
        """
        identity = self.identity
        if identity is None:
            self.refuse(self.login_first)
            return None
        found = self.edge.directory.identity_now(identity.account.id, self._credential_id, "smtp")
        if found is None or isinstance(found, Refused):
            found = await self._look_again(identity)
            if isinstance(found, Refused):
                self.say(standing_reply(found))
                if is_final(found):
                    self._end_fallen(found)
                return None
        self.identity = found
        return found

    async def attend(self) -> None:
        """Something about the account was changed: look before the next command is obeyed."""
        self.attention = False
        if self.identity is not None:
            found = await self._look_again(self.identity)
            if isinstance(found, Refused) and is_final(found):
                self._end_fallen(found)

    async def recheck(self) -> None:
        """The same from outside: an idle session ends at once, a busy one before its next command."""
        self.attention = True
        if self.identity is None or not self.is_idle:
            return
        found = await self._look_again(self.identity)
        if isinstance(found, Refused) and is_final(found) and self.is_idle:
            self.host.metrics.connection_cut(found.reason.value)
            self.end(self.closing("4.7.0", f"{standing_text(found)}; closing"))

    async def _look_again(self, identity: Identity) -> Identity | Refused:
        try:
            return await self.edge.directory.identity(identity.account.id, self._credential_id, "smtp")
        except DatabaseAway:
            return Refused(RefusedReason.UNAVAILABLE)

    def _end_fallen(self, refused: Refused) -> None:
        self.cut(refused.reason.value, "4.7.0", f"{standing_text(refused)}; closing")
