"""Checks of records: SPF covers the addresses, keys are published as they sign, DMARC is there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from functools import partial

from gateway.control.doctor.dns import Dns
from gateway.control.doctor.facts import Facts, Key, Source
from gateway.control.doctor.values import Check, Finding
from gateway.control.domains.publishing.values import RecordKey

_MOST_TOLD = 20
_OTHERS = ("include:", "exists:", "redirect=", "mx", "ptr")


def record_checks(facts: Facts, hostname: str, dns: Dns) -> Iterator[Check]:
    """For the platform's host name, and the keys of all tenants."""
    yield Check("spf", hostname, partial(_spf, hostname, facts.sources, dns))
    yield Check("dmarc", hostname, partial(_dmarc, hostname, dns))
    yield Check("dkim", "keys that sign", partial(_keys, facts, dns))
    if facts.pool[1]:
        yield Check("trial-keys", "pool", partial(_pool, facts, dns))


def _spf(hostname: str, sources: Sequence[Source], dns: Dns) -> Finding:
    found = [text for text in dns(hostname, "TXT") if text.lower().split(" ")[0] == "v=spf1"]
    fix = f"`gatepost platform records` has the SPF record that {hostname} should have."
    if len(found) != 1:
        detail = "There is no SPF record." if not found else "There are several SPF records: none counts."
        return Finding("spf", hostname, "red", detail, fix)
    terms = found[0].lower().split()[1:]
    missing = [one.address for one in sources if not _covers(terms, hostname, one.address, dns)]
    if not missing:
        return Finding("spf", hostname, "green", "SPF covers every source address.")
    if any(term.lstrip("+").startswith(_OTHERS) for term in terms):
        detail = f"Whether SPF covers {', '.join(missing)} depends on other names."
        return Finding("spf", hostname, "amber", detail, fix)
    return Finding("spf", hostname, "red", f"SPF does not cover {', '.join(missing)}.", fix)


def _covers(terms: Sequence[str], hostname: str, address: str, dns: Dns) -> bool:
    wanted = ipaddress.ip_address(address)
    kind = "AAAA" if wanted.version == 6 else "A"
    for term in (term.lstrip("+") for term in terms):
        name, _, value = term.partition(":")
        if name in ("ip4", "ip6") and _within(wanted, value):
            return True
        if name == "a" and any(ipaddress.ip_address(one) == wanted for one in dns(value or hostname, kind)):
            return True
    return False


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str) -> bool:
    try:
        return address in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False


def _dmarc(hostname: str, dns: Dns) -> Finding:
    name = f"_dmarc.{hostname}"
    if any(text.lower().startswith("v=dmarc1") for text in dns(name, "TXT")):
        return Finding("dmarc", hostname, "green", "The host name has a DMARC record.")
    fix = f"Publish {name} as `gatepost platform records` has it; large receivers ask for one."
    return Finding("dmarc", hostname, "amber", "The host name has no DMARC record.", fix)


def _keys(facts: Facts, dns: Dns) -> Iterator[Finding]:
    asked = {key: RecordKey(key.name, "TXT") for key in facts.keys}
    answers = dns.many(list(asked.values()))
    wrong = [one for key, name in asked.items() if name in answers for one in _key(key, answers[name] or ())]
    yield from wrong[:_MOST_TOLD]
    if len(wrong) > _MOST_TOLD:
        yield Finding("dkim", "keys that sign", "red", f"{len(wrong) - _MOST_TOLD} more are wrong.", _FIX)
    silent = sum(name not in answers for name in asked.values())
    if silent:
        detail = f"DNS gave no answer about {silent} of {len(asked)} keys."
        yield Finding("dkim", "keys that sign", "amber", detail, "Run `gatepost doctor` again.")
    if facts.key_count > len(asked):
        detail = f"Only {len(asked)} of {facts.key_count} keys were looked at."
        yield Finding(
            "dkim", "keys that sign", "amber", detail, "`gatepost doctor --all` looks at all of them."
        )
    elif not wrong and not silent:
        detail = f"All {len(asked)} keys are published as they sign."
        yield Finding("dkim", "keys that sign", "green", detail)


_FIX = "`gatepost domain verify DOMAIN` says what is wrong with it; `gatepost domain reconcile` mends ours."


def _key(key: Key, found: Sequence[str]) -> Iterator[Finding]:
    right = _is_shown(key, found)
    if right and len(found) == 1:
        return
    if right:
        detail = f"{len(found)} TXT records stand where one key of {key.domain} should: any may be taken."
    elif not found:
        detail = f"A key of {key.domain} signs whose record is not there: no signature can be verified."
    else:
        detail = f"The record is not that of the key of {key.domain} that signs: signatures fail."
    yield Finding(
        "dkim", key.name, "red", detail, f"`gatepost domain verify {key.domain}` says what to mend."
    )


def _is_shown(key: Key, found: Sequence[str]) -> bool:
    wanted = _tags(key.value).get("p")
    return any(_tags(text).get("p") == wanted for text in found)


def _tags(text: str) -> dict[str, str]:
    """The tags of a key's record, without white space (RFC 6376 §3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _pool(facts: Facts, dns: Dns) -> Finding:
    waiting, total = facts.pool
    raise_it = "Raise [trial] selectors, then publish what `gatepost platform records` lists anew."
    if waiting == 0:
        return Finding("trial-keys", "pool", "red", "No key is left: no trial domain can be made.", raise_it)
    asked = {key: RecordKey(key.name, "TXT") for key in facts.waiting}
    answers = dns.many(list(asked.values()))
    absent = [key for key, name in asked.items() if not _is_shown(key, answers.get(name, (key.value,)) or ())]
    if absent:
        detail = f"{len(absent)} of the {waiting} keys that wait are not in DNS, the first {absent[0].name}."
        fix = "Publish what `gatepost platform records` lists: mail signed with them could not be verified."
        return Finding("trial-keys", "pool", "red" if len(absent) == waiting else "amber", detail, fix)
    silent = sum(name not in answers for name in asked.values())
    if silent:
        detail = f"DNS gave no answer about {silent} of the {waiting} keys that wait."
        return Finding("trial-keys", "pool", "amber", detail, "Run `gatepost doctor` again.")
    detail = f"{waiting} of {total} keys wait for new trial domains."
    if waiting * 10 < total:
        return Finding("trial-keys", "pool", "amber", detail, raise_it)
    return Finding("trial-keys", "pool", "green", detail)
