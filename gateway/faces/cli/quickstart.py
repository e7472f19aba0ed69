"""`gatepost quickstart`: from nothing to a signed message in one command, on this machine only.

It writes a configuration, a small CA, databases and a demo tenant whose shard captures, under one
folder; a second run on a finished folder reuses all of it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from gateway.faces.cli.files import write_private
from gateway.faces.cli.output import EXIT_USAGE, CommandFailed

STATE_FILE = "quickstart.json"
CONFIG_FILE = "gatepost.toml"
DEMO_TENANT = "demo"
DEMO_LOCAL_PART = "hello"
HOSTNAME = "mail.gatepost.test"
TRIAL_ZONE = "trial.gatepost.test"

PORTS = {
    "inbound": 25,
    "submission": 87,
    "submissions": 65,
    "imap": 143,
    "imaps": 193,
    "api": 80,
    "metrics": 200,
}
SERVED = ("submission", "submissions", "api", "metrics")
"""Those of PORTS that the configuration listens on; metrics have a port a worker, the first of them here."""
_START_SECONDS = 30.0
_CAPTURE_SECONDS = 20.0

CONFIG_TEMPLATE = """\
# Written by `gatepost quickstart`: a demo on this machine only. conf/gatepost.toml explains every key.
hostname = "{hostname}"
state_dir = "{folder}"
workers = 2

[listen]
submission = ["127.0.0.1:{submission}"]
submissions = ["127.0.0.1:{submissions}"]
api = ["127.0.0.1:{api}"]
metrics = "127.0.0.1:{metrics}"

[tls]
certificate = "{folder}/tls/certificate.pem"
key = "{folder}/tls/key.pem"

[control]
url = "sqlite:///{folder}/control.db"

[locations.default]
url = "sqlite:///{folder}/location.db"
blobs = "{folder}/blobs"

[master_key]
file = "{folder}/master.key"

[trial]
zone = "{trial_zone}"

[relay]
default_route = "capture:"
"""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The demo account, as the services made it."""

    grant_id: str
    tenant_id: str
    workspace_id: str
    address: str
    app_password: str
    domain: str
    shard: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What quickstart needs from the rest of the program.

    `make_certificates(folder)` writes `ca.pem`, `certificate.pem`, `key.pem`; `make_master_key(file)`
    a fresh master key; `provision(config file)` brings the databases up and makes the demo tenant.
    """

    make_certificates: Callable[[Path], None]
    make_master_key: Callable[[Path], None]
    provision: Callable[[Path], Provisioned]


def prepare(folder: Path, port_base: int, parts: Parts) -> dict[str, Any]:
    """Bring `folder` to a finished state, or reuse it; gives the content of `quickstart.json`.

    Raises CommandFailed (exit 2) if it was made for another port base or is somebody else's folder.
    """
    folder = folder.resolve()
    state_file = folder / STATE_FILE
    if state_file.exists():
        return _reuse(state_file, port_base)
    config_file = folder / CONFIG_FILE
    if config_file.exists() and _port_of(config_file) != port_base + PORTS["submission"]:
        raise _other_port_base(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("captured", "tls"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "tls/key.pem").exists():
        parts.make_certificates(folder / "tls")
    if not (folder / "master.key").exists():
        parts.make_master_key(folder / "master.key")
    ports = {name: port_base + offset for name, offset in PORTS.items()}
    write_private(
        config_file, CONFIG_TEMPLATE.format(folder=folder, hostname=HOSTNAME, trial_zone=TRIAL_ZONE, **ports)
    )
    state = _describe(folder, port_base, parts.provision(config_file))
    write_private(state_file, json.dumps(state, indent=2) + "\n")
    return state


def _reuse(state_file: Path, port_base: int) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(state_file.read_text("utf-8"))
    if state["submission"]["port"] != port_base + PORTS["submission"]:
        raise _other_port_base(state_file.parent)
    return state


def _other_port_base(folder: Path) -> CommandFailed:
    return CommandFailed(
        "port_base_differs",
        f"{folder} was made for another port base.",
        "Use that one, or another --dir.",
        EXIT_USAGE,
    )


def _port_of(config_file: Path) -> int | None:
    with contextlib.suppress(tomllib.TOMLDecodeError, KeyError, IndexError, ValueError, AttributeError):
        listen = tomllib.loads(config_file.read_text("utf-8"))["listen"]["submission"][0]
        return int(listen.rpartition(":")[2])
    return None


def _describe(folder: Path, port_base: int, made: Provisioned) -> dict[str, Any]:
    def place(name: str) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": port_base + PORTS[name]}

    workers = int(tomllib.loads((folder / CONFIG_FILE).read_text("utf-8"))["workers"])
    return {
        "config": str(folder / CONFIG_FILE),
        "submission": place("submission"),
        "submissions": place("submissions"),
        "inbound": None,
        "imap": None,
        "imaps": None,
        "api": {"url": f"http://127.0.0.1:{port_base + PORTS['api']}", "key": made.api_key},
        "dashboard": None,
        "metrics": {
            "urls": [
                f"http://127.0.0.1:{port_base + PORTS['metrics'] + index}/metrics" for index in range(workers)
            ]
        },
        "account": {
            "grant_id": made.grant_id,
            "tenant_id": made.tenant_id,
            "workspace_id": made.workspace_id,
            "address": made.address,
            "login": made.address,
            "app_password": made.app_password,
        },
        "domain": made.domain,
        "shard": made.shard,
        "captured": str(folder / "captured"),
        "ca_file": str(folder / "tls/ca.pem"),
    }


def run_demo(state: dict[str, Any], say: Callable[[str], None]) -> int:
    """Start the gateway, send one message through it, show it, and serve until Ctrl-C, SIGTERM or SIGHUP.

    Gives 0. Raises CommandFailed if it does not start, or ends by itself.
    """
    _end_like_ctrl_c()
    command = [sys.executable, "-m", "gateway", "serve", "--config", state["config"]]
    log_path = Path(state["config"]).parent / "gatepost.log"
    with log_path.open("ab") as log:
        server = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _await_port(state, server, log_path)
        message_id = send_demo_message(state)
        captured = _await_capture(Path(state["captured"]), message_id)
        say(_story(state, message_id, captured, log_path))
        return _ended(server.wait(), log_path)
    except KeyboardInterrupt:
        # A terminal that is gone hears nothing; the gateway must end all the same.
        with contextlib.suppress(OSError):
            say("\nStopping.")
        return _ended(_stop(server), log_path)
    except BaseException:
        _stop(server)
        raise


def _end_like_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP interrupt as SIGINT does: the gateway is not to outlive who started it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP is ignored, and stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _ended(status: int, log_path: Path) -> int:
    if status != 0:
        raise CommandFailed(
            "ended", f"The gateway ended with status {status}; its log is {log_path}.", _last_lines(log_path)
        )
    return status


def _stop(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return server.wait()


def _await_port(state: dict[str, Any], server: subprocess.Popen[bytes], log_path: Path) -> None:
    """Wait until the submission port greets."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if server.poll() is not None:
            raise CommandFailed(
                "not_started", f"The gateway did not start; its log is {log_path}.", _last_lines(log_path)
            )
        try:
            with smtplib.SMTP(state["submission"]["host"], state["submission"]["port"], timeout=2):
                return
        except (OSError, smtplib.SMTPException):
            if time.monotonic() > deadline:
                raise CommandFailed(
                    "not_ready",
                    f"The gateway is not ready after {_START_SECONDS:.0f} s; its log is {log_path}.",
                ) from None
            time.sleep(0.1)


def _last_lines(path: Path, count: int = 5) -> str:
    return "\n  ".join(path.read_text("utf-8", "replace").splitlines()[-count:])


def send_demo_message(state: dict[str, Any]) -> str:
    """Send one message with the demo account over STARTTLS; gives the id of the `250`."""
    account = state["account"]
    message = EmailMessage()
    message["From"] = f"Gatepost demo <{account['address']}>"
    message["To"] = "newcomer@example.org"
    message["Subject"] = "It works"
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=state["domain"])
    message.set_content(
        "This message went in over SMTP with an app password and left signed, through the tenant's shard.\n"
    )
    context = ssl.create_default_context(cafile=state["ca_file"])
    with smtplib.SMTP(state["submission"]["host"], state["submission"]["port"], timeout=30) as client:
        client.starttls(context=context)
        client.login(account["login"], account["app_password"])
        client.ehlo()
        client.mail(account["address"])
        client.rcpt("newcomer@example.org")
        code, reply = client.data(message.as_bytes())
    if code != 250:
        raise CommandFailed(
            "refused", f"The demo message was refused: {code} {reply.decode(errors='replace')}"
        )
    return reply.decode().split()[-1]


def _await_capture(folder: Path, message_id: str) -> Path:
    deadline = time.monotonic() + _CAPTURE_SECONDS
    while time.monotonic() < deadline:
        for path in folder.glob(f"{message_id}-*.eml"):
            return path
        time.sleep(0.05)
    raise CommandFailed("not_captured", f"Message {message_id} was accepted but not captured in {folder}.")


def _story(state: dict[str, Any], message_id: str, captured: Path, log_path: Path) -> str:
    account = state["account"]
    text = captured.read_text("utf-8", "replace").replace("\r\n", "\n")
    password = account["app_password"]
    lines = [
        f"Message {message_id} was accepted, signed and captured as {captured}:",
        "",
        *("    " + line for line in text.splitlines()),
        "",
        "Connect a mail client or an application:",
        f"    submission   127.0.0.1 port {state['submission']['port']}, STARTTLS  (or port "
        f"{state['submissions']['port']}, TLS)",
        f"    login        {account['login']}",
        f"    password     {password}",
        f"    CA file      {state['ca_file']}",
        "",
        "Send one with curl:",
        f"    printf 'From: {account['address']}\\r\\nSubject: hi\\r\\n\\r\\nhello\\r\\n' | \\",
        f"      curl --ssl-reqd --cacert {state['ca_file']} \\",
        f"        smtp://localhost:{state['submission']['port']} \\",
        f"        --user '{account['login']}:{password}' --mail-from {account['address']} \\",
        "        --mail-rcpt you@example.org --upload-file -",
        "",
        "Ask what became of a message:",
        f"    {_program()} --config {state['config']} trace {message_id}",
        f"The log is {log_path}. Ctrl-C stops the gateway.",
    ]
    return "\n".join(lines)


def _program() -> str:
    path = Path(sys.argv[0])
    return str(path) if path.name == "gatepost" else "gatepost"
