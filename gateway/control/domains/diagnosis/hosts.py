"""Records that point at a host: CNAME and MX."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from gateway.control.domains.diagnosis.verdict import Verdict, listed
from gateway.system.observation import Observation, first_of


def judge_alias(expected: str, answers: Sequence[str]) -> Verdict:
    """A CNAME: one, to the expected name."""
    wanted, found = _host(expected), [_host(answer) for answer in answers]
    if found == [wanted]:
        return Verdict(True)
    if len(found) > 1:
        return Verdict(False, f"There are {len(found)} CNAMEs at this name. Keep the one to {wanted}.")
    if found and found[0].startswith(f"{wanted}."):
        return Verdict(False, _trailing(wanted, found[0]))
    return Verdict(False, f"The CNAME points at {listed(found)}. It must point at {wanted}.")


def judge_mx(expected: str, answers: Sequence[str], beside: Sequence[Observation]) -> Verdict:
    """Only our host may receive: the preference does not matter."""
    wanted = _host(expected.rpartition(" ")[2])
    hosts = [_host(answer.partition(" ")[2]) for answer in answers]
    others = [host for host in hosts if host != wanted]
    if not others:
        return Verdict(bool(hosts))
    for host in others:
        if _is_address(host):
            return Verdict(False, f"The MX points at the address {host}. It must name a host: {wanted}.")
        if host.startswith(f"{wanted}."):
            return Verdict(False, _trailing(wanted, host))
        alias = first_of(beside, host, "CNAME")
        if alias is not None and wanted in map(_host, (*alias.answers, *alias.chain)):
            words = f"The MX points at {host}, which is a CNAME; that is not allowed. Name {wanted} itself."
            return Verdict(False, words)
    if wanted in hosts:
        words = f"Beside {wanted} mail may also go to {listed(others)}. Remove what is not in use."
        return Verdict(False, words)
    return Verdict(False, foreign_mx(others))


def foreign_mx(hosts: Sequence[str]) -> str:
    """What to say where mail is received elsewhere: nobody is asked to give that up."""
    if list(hosts) == [""]:
        return (
            "The MX says that the name takes no mail at all. Receive under a sub-domain, such as mail.<name>."
        )
    return (
        f"Mail is received elsewhere ({listed(hosts)}); do not replace that MX. To receive here, add a "
        "sub-domain such as mail.<name>; to send only, set the domain's mode to send."
    )


def _trailing(wanted: str, found: str) -> str:
    rest = found[len(wanted) + 1 :]
    return (
        f"The panel has added {rest} to the value. Enter {wanted}. with a dot at its end, "
        "or choose the panel's option for a full name."
    )


def _host(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
