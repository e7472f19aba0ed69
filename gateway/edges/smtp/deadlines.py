"""When a client has kept us waiting too long. No timers here: a sweep asks once a second.

Only the client's time counts. While the server works on a command (checks a password, commits a message)
nothing is due, however long it takes.
"""

from __future__ import annotations

from enum import Enum

from gateway.edges.smtp.limits import SessionLimits


class Due(Enum):
    """Which patience has run out."""

    LOGIN = "login"
    """Not logged in after `login_seconds`."""
    IDLE = "idle"
    """No command for `idle_seconds`."""
    COMMAND = "command"
    """A command line was begun and not ended within `command_seconds`."""
    SLOW_CONTENT = "slow_content"
    """A message comes slower than `content_octets_per_second` over a window."""
    UNREAD = "unread"
    """The client does not read our replies for `unread_seconds`."""
    CLOSING = "closing"
    """We closed, and the connection is still there after `closing_seconds`."""


class Deadlines:
    """The clock of one session. Times are monotonic seconds, passed in."""

    __slots__ = (
        "_busy_seconds",
        "_closing_since",
        "_content_octets",
        "_content_since",
        "_limits",
        "_logged_in",
        "_opened_at",
        "_partial_since",
        "_unread_since",
        "_waiting_since",
        "_woken_at",
    )

    def __init__(self, limits: SessionLimits, now: float) -> None:
        self._limits = limits
        self._opened_at = now
        self._waiting_since: float | None = now
        self._woken_at = now
        self._busy_seconds = 0.0
        self._logged_in = False
        self._partial_since: float | None = None
        self._content_since: float | None = None
        self._content_octets = 0
        self._unread_since: float | None = None
        self._closing_since: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client's turn."""
        return self._waiting_since is not None

    @property
    def in_content(self) -> bool:
        """Whether a message is coming."""
        return self._content_since is not None

    def wait(self, now: float, *, partial: bool) -> None:
        """It is the client's turn; `partial`: an unfinished line lies in the buffer."""
        if self._waiting_since is None:
            self._busy_seconds += now - self._woken_at
        self._waiting_since = now
        if not partial or self._content_since is not None:
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now

    def line_ended(self) -> None:
        """A whole line has come; what follows it in the buffer is another one."""
        self._partial_since = None

    def wake(self, now: float) -> None:
        """Something came; it is our turn."""
        self._waiting_since = None
        self._woken_at = now

    def login(self) -> None:
        """The client has logged in."""
        self._logged_in = True

    def begin_content(self, now: float, octets: int) -> None:
        """A message begins to come; `octets` is how many came on this connection so far."""
        self._content_since = now
        self._content_octets = octets
        self._partial_since = None

    def end_content(self) -> None:
        """The message is complete."""
        self._content_since = None

    def unread(self, now: float) -> None:
        """The client does not take our replies."""
        self._unread_since = now

    def read(self) -> None:
        """It takes them again."""
        self._unread_since = None

    def close(self, now: float) -> None:
        """We said goodbye."""
        if self._closing_since is None:
            self._closing_since = now

    def due(self, now: float, octets: int) -> Due | None:
        """What has run out at `now`; `octets` as in `begin_content`."""
        limits = self._limits
        if self._closing_since is not None:
            return Due.CLOSING if now - self._closing_since > limits.closing_seconds else None
        if self._unread_since is not None and now - self._unread_since > limits.unread_seconds:
            return Due.UNREAD
        if self._waiting_since is None:
            return None
        if not self._logged_in and now - self._opened_at - self._busy_seconds > limits.login_seconds:
            return Due.LOGIN
        if self._content_since is not None:
            return self._slow_content(now, octets)
        if self._partial_since is not None:
            return Due.COMMAND if now - self._partial_since > limits.command_seconds else None
        return Due.IDLE if now - self._waiting_since > limits.idle_seconds else None

    def _slow_content(self, now: float, octets: int) -> Due | None:
        """Looks at whole windows, so that a fast beginning does not buy a long silence."""
        assert self._content_since is not None
        seconds = now - self._content_since
        if seconds < self._limits.content_window_seconds:
            return None
        if octets - self._content_octets < seconds * self._limits.content_octets_per_second:
            return Due.SLOW_CONTENT
        self._content_since = now
        self._content_octets = octets
        return None
