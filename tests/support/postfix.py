"""A Postfix that only receives, on loopback: the next hop of the tests, as smarthost and as MX."""

from __future__ import annotations

import mailbox
import os
import pwd
import shutil
import subprocess
import time
from email.message import Message
from pathlib import Path

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
inet_interfaces = {address}
inet_protocols = ipv4
myhostname = postfix.test
mydestination = localhost
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_tls_security_level = {tls}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_client_connection_rate_limit = 0
smtputf8_enable = yes
"""

MASTER_CF = """\
{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One receiving Postfix in `root`, for mail to `domains`; everything lands in one maildir."""

    def __init__(
        self, root: Path, port: int, *, domains: str, certificate: str = "", key: str = "", tls: str = "none",
        address: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self._root = root
        self.port = port
        owner = pwd.getpwnam("postfix").pw_uid
        group = pwd.getpwnam("postfix").pw_gid
        self._values = {
            "root": root, "port": port, "domains": domains, "certificate": certificate, "key": key, "tls": tls,
            "address": address, "uid": owner, "gid": group,
        }  # fmt: skip
        self._address = address

    def start(self) -> None:
        """Write the configuration and start; returns when the port answers. Needs root."""
        root = self._root
        for name in ("etc", "queue", "data", "mail/all/cur", "mail/all/new", "mail/all/tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for folder in (root, *root.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        (root / "etc/main.cf").write_text(MAIN_CF.format(**self._values))
        (root / "etc/master.cf").write_text(MASTER_CF.format(**self._values))
        shutil.chown(root / "data", "postfix")
        for folder in (root / "mail", root / "mail/all", *(root / "mail/all").iterdir()):
            shutil.chown(folder, "postfix", "postfix")
        started = subprocess.run(
            ["postfix", "-c", str(root / "etc"), "start"], check=False, capture_output=True, text=True
        )
        if started.returncode != 0:
            raise RuntimeError(f"Postfix does not start: {started.stderr}{self.log()}")
        deadline = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postfix does not answer; {(root / 'mail.log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop and wait."""
        subprocess.run(["postfix", "-c", str(self._root / "etc"), "stop"], check=False, capture_output=True)

    def received(self) -> list[Message]:
        """Every message delivered so far."""
        return list(mailbox.Maildir(self._root / "mail/all", create=False))

    def log(self) -> str:
        """Its log so far."""
        path = self._root / "mail.log"
        return path.read_text() if path.exists() else ""

    def _answers(self) -> bool:
        import socket

        try:
            with socket.create_connection((self._address, self.port), 1) as connection:
                return connection.recv(64).startswith(b"220")
        except OSError:
            return False
