"""A tour of the control plane on a running quickstart: every change is seen on open SMTP sessions.

    gatepost quickstart --dir var            # in one terminal
    python3 conf/examples/tour.py var/quickstart.json [--tenants 1000]

It provisions tenants in batches, moves their accounts into a workspace, changes that workspace's policy and
revokes an app password. Python's standard library alone; running it again goes on with what is there.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import smtplib
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AT_ONCE = 500
PROVISIONED_AT_ONCE = 100
WORKSPACE = POLICY = "tour"
DOCUMENT = 'extends = "default"\ndescription = "Made by the tour"\n[limits]\nmessage_bytes = "{size}"\n'
ASKED_BYTES = 2 * 1024 * 1024
PATIENCE_SECONDS = 10.0


class Api:
    """Calls the REST API; a refusal ends the tour with its detail and fix."""

    def __init__(self, url: str, key: str) -> None:
        place = urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the reply."""
        octets = None if body is None else json.dumps(body)
        self._connection.request(method, f"/v1{path}", octets, self._headers)
        reply = self._connection.getresponse()
        text = reply.read()
        if reply.status >= 400:
            problem = json.loads(text)
            raise SystemExit(f"{method} {path}: {problem['detail']}\n{problem['fix']}")
        return json.loads(text) if text else None


class Session:
    """A logged-in SMTP session of one account."""

    def __init__(self, state: dict[str, Any], address: str, password: str) -> None:
        self.address = address
        self._client = smtplib.SMTP("localhost", state["submission"]["port"], timeout=30)
        self._client.starttls(context=ssl.create_default_context(cafile=state["ca_file"]))
        self._client.login(address, password)
        self._client.ehlo()

    def try_large(self) -> str:
        """Offer a message of 2 MiB; the reply to MAIL."""
        code, reply = self._client.mail(self.address, [f"SIZE={ASKED_BYTES}"])
        if code == 250:
            self._client.rset()
        return f"{code} {reply.decode()}"

    def send(self) -> str:
        """Send a small message; the reply to its last octet, or the one that ended it before."""
        text = f"From: {self.address}\r\nTo: someone@example.org\r\nSubject: From the tour\r\n\r\nHello.\r\n"
        code, reply = self._client.mail(self.address)
        if code == 250:
            code, reply = self._client.rcpt("someone@example.org")
        if code == 250:
            try:
                code, reply = self._client.data(text.encode())
            except smtplib.SMTPDataError as error:  # DATA itself was refused
                code, reply = error.smtp_code, error.smtp_error
        return f"{code} {reply.decode()}"

    def close(self) -> None:
        """Leave, whatever the server thinks of it."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self._client.quit()


def provision(api: Api, count: int) -> list[dict[str, Any]]:
    """So many tenants, each with a trial domain, DKIM key, shard, account and app password."""
    began, found = time.monotonic(), []
    for start in range(0, count, PROVISIONED_AT_ONCE):
        rows = [wanted(number) for number in range(start, min(start + PROVISIONED_AT_ONCE, count))]
        found += api.call("POST", "/provision/batch", {"rows": rows})["items"]
        print(f"  {len(found)} of {count} tenants are there", file=sys.stderr, flush=True)
    failed = [row for row in found if row["status"] == "failed"]
    if failed:
        raise SystemExit(f"{len(failed)} rows failed, the first: {failed[0]['detail']}\n{failed[0]['fix']}")
    seconds = time.monotonic() - began
    made = sum(row["status"] == "created" for row in found)
    say(f"provisioned {made} tenants in {seconds:.1f} s; {len(found) - made} were there already")
    return [row["result"] for row in found]


def wanted(number: int) -> dict[str, Any]:
    """One customer; its client_id is what a repetition is known by."""
    return {
        "tenant": {"name": f"Tour {number:04}"},
        "account": {"local_part": "agent", "client_id": f"tour-{number:04}"},
        "protocols": {"smtp": True},
        "app_password": True,
    }


def declared(size: str) -> dict[str, Any]:
    """What is to be there, as files: a policy with this limit, and a shared workspace under it."""
    workspace = f'[[workspaces]]\nname = "{WORKSPACE}"\npolicy = "{POLICY}"\n'
    texts = {f"policies/{POLICY}.toml": DOCUMENT.format(size=size), "platform.toml": workspace}
    return {"files": [{"path": path, "text": text} for path, text in texts.items()]}


def apply(api: Api, size: str) -> float:
    """Make it so; when the reply was there: from then on it must hold within a second."""
    api.call("POST", "/declarations/apply", declared(size))
    return time.monotonic()


def move(api: Api, accounts: list[dict[str, Any]]) -> float:
    """Move all accounts into the tour's workspace, 500 a call; when the reply to the last call was there."""
    for start in range(0, len(accounts), AT_ONCE):
        grants = [account["grant_id"] for account in accounts[start : start + AT_ONCE]]
        api.call("POST", "/accounts/move", {"accounts": grants, "workspace": WORKSPACE})
    return time.monotonic()


@contextlib.contextmanager
def sessions(
    api: Api, state: dict[str, Any], accounts: list[dict[str, Any]]
) -> Iterator[list[tuple[Session, str]]]:
    """An open session of each account, and the id of the password it logged in with; revoked at the end."""
    opened = []
    try:
        for account in accounts:
            made = api.call("POST", "/app-passwords", {"account": account["grant_id"], "label": "tour"})
            opened.append((Session(state, account["address"], made["app_password"]), made["id"]))
        yield opened
    finally:
        for session, password in opened:
            session.close()
            api.call("DELETE", f"/app-passwords/{password}")


def await_reply(ask: Callable[[], str], codes: tuple[str, ...], done_at: float) -> None:
    """Ask until the reply has one of the codes, and say how long after the API's reply that was."""
    while True:
        reply = ask()
        if reply.startswith(codes):
            say(f"  {(time.monotonic() - done_at) * 1000:4.0f} ms later an open session reads: {reply}")
            return
        if time.monotonic() > done_at + PATIENCE_SECONDS:
            raise SystemExit(f"still {reply} after {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.01)


def walk(api: Api, state: dict[str, Any], count: int) -> None:
    """The whole tour."""
    accounts = provision(api, count)
    with sessions(api, state, accounts[:2]) as ((first, password), (second, _)):
        say(f"{first.address} sends: {first.send()}")

        apply(api, "1 MiB")
        done_at = move(api, accounts)
        say(f"moved {len(accounts)} accounts into a workspace that takes 1 MiB a message")
        await_reply(first.try_large, ("552",), done_at)

        done_at = apply(api, "4 MiB")
        say("changed its policy to 4 MiB")
        await_reply(first.try_large, ("250",), done_at)

        planned = api.call("POST", "/declarations/plan", declared("4 MiB"))["changes"]
        say(f"a plan after that says: {planned or 'no changes'}")

        api.call("DELETE", f"/app-passwords/{password}")
        done_at = time.monotonic()
        say(f"revoked the password that {first.address} logged in with")
        await_reply(first.send, ("421", "530", "535", "550"), done_at)
        say(f"{second.address} goes on: {second.send()}")


def say(text: str) -> None:
    """A line at once, also into a pipe."""
    print(text, flush=True)


def main() -> int:
    """Read the arguments and walk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("state", type=Path, help="quickstart.json of the running installation")
    parser.add_argument("--tenants", type=int, default=1000)
    arguments = parser.parse_args()
    state = json.loads(arguments.state.read_text())
    walk(Api(state["api"]["url"], state["api"]["key"]), state, max(2, arguments.tenants))
    return 0


if __name__ == "__main__":
    sys.exit(main())
