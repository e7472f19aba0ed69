"""Postfix + OpenDKIM + Dovecot's auth on loopback, as a sysadmin would build them: the anchor of the bench.

Needs root and the Debian packages postfix, opendkim and dovecot-core; everything lives in one folder.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import psutil

LOGIN = "bench@bench.test"
PASSWORD = "Bench-Password-123456"

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {root}
maillog_file = {root}/mail.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{sink_port}
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = unix:{root}/dovecot/auth-client
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_loglevel = 0
smtpd_milters = {milters}
milter_default_action = tempfail
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 100
message_size_limit = 26214400
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_CONF = """\
base_dir = {root}/dovecot
state_dir = {root}/dovecot-state
protocols =
ssl = no
log_path = {root}/dovecot.log
auth_mechanisms = plain login
auth_cache_size = 10M
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = passwd-file
  args = scheme=SHA512-CRYPT username_format=%u {root}/users
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""

OPENDKIM_CONF = """\
Syslog no
Mode s
Canonicalization relaxed/relaxed
Socket local:{root}/milter/socket
UMask 000
UserID opendkim
KeyTable {root}/keytable
SigningTable refile:{root}/signingtable
OversignHeaders From
RequireSafeKeys false
Background no
"""


def missing() -> list[str]:
    """The programs that this anchor needs and that are not installed."""
    found = {
        name: shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        for name in ("postfix", "opendkim", "dovecot", "doveadm", "opendkim-genkey")
    }
    return [name for name, path in found.items() if path is None]


class Anchor:
    """One running set of the three; `dkim=False` leaves the signer out."""

    def __init__(
        self, root: Path, port: int, sink_port: int, certificate: Path, key: Path, *, dkim: bool = True
    ) -> None:
        self._root = root
        self._port = port
        self._values = {
            "root": root,
            "port": port,
            "sink_port": sink_port,
            "certificate": certificate,
            "key": key,
            "milters": f"unix:{root}/milter/socket" if dkim else "",
        }
        self._dkim = dkim
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Write the configurations and start all three; returns when the port answers."""
        self._write()
        self._running.append(subprocess.Popen(["dovecot", "-F", "-c", str(self._root / "dovecot.conf")]))
        if self._dkim:
            self._running.append(
                subprocess.Popen(["opendkim", "-f", "-x", str(self._root / "opendkim.conf")])
            )
        subprocess.run(
            ["postfix", "-c", str(self._root / "postfix"), "start"], check=True, capture_output=True
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postfix does not answer on port {self._port}; see {self._root}/mail.log")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop all three and wait for them."""
        subprocess.run(
            ["postfix", "-c", str(self._root / "postfix"), "stop"], check=False, capture_output=True
        )
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(10)
        self._running.clear()

    def processes(self) -> list[psutil.Process]:
        """Every process of the anchor that runs now."""
        master = int((self._root / "queue/pid/master.pid").read_text().strip())
        roots = [psutil.Process(master), *(psutil.Process(process.pid) for process in self._running)]
        return [*roots, *(child for root in roots for child in root.children(recursive=True))]

    def queue_is_empty(self) -> bool:
        """Whether nothing waits in the active, incoming and deferred queues."""
        return not any(
            path.is_file()
            for name in ("active", "incoming", "deferred")
            for path in (self._root / "queue" / name).rglob("*")
        )

    def _answers(self) -> bool:
        import socket

        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                return connection.recv(64).startswith(b"220")
        except OSError:
            return False

    def _write(self) -> None:
        root = self._root
        for name in ("postfix", "queue", "data", "dovecot", "dovecot-state", "keys", "milter"):
            (root / name).mkdir(parents=True, exist_ok=True)
        root.chmod(0o755)
        (root / "postfix/main.cf").write_text(MAIN_CF.format(**self._values))
        (root / "postfix/master.cf").write_text(MASTER_CF.format(**self._values))
        (root / "dovecot.conf").write_text(DOVECOT_CONF.format(**self._values))
        (root / "opendkim.conf").write_text(OPENDKIM_CONF.format(**self._values))
        hashed = subprocess.run(
            ["doveadm", "pw", "-s", "SHA512-CRYPT", "-p", PASSWORD],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        (root / "users").write_text(f"{LOGIN}:{hashed}::::::\n")
        subprocess.run(
            ["opendkim-genkey", "-b", "2048", "-D", str(root / "keys"), "-d", "bench.test", "-s", "s1"],
            check=True,
        )
        (root / "keytable").write_text(f"k1 bench.test:s1:{root}/keys/s1.private\n")
        (root / "signingtable").write_text("*@bench.test k1\n")
        owners = {"data": "postfix", "keys": "opendkim", "milter": "opendkim", "dovecot-state": "dovecot"}
        for folder, owner in owners.items():
            subprocess.run(["chown", "-R", owner, str(root / folder)], check=True)
        for path in (root / "users", root / "keytable", root / "signingtable"):
            path.chmod(0o644)
