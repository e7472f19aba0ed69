"""The tests' own name servers do what the tests of domains rest on."""

from __future__ import annotations

import dns.message
import dns.query
import dns.rcode

from tests.support.nameservers import Authority, LocalResolver


def answered(port: int, name: str, kind: str) -> dns.message.Message:
    """One question over UDP, over TCP if it was cut off."""
    query = dns.message.make_query(name + ".", kind)
    answer, _ = dns.query.udp_with_fallback(query, "127.0.0.1", port=port, timeout=10)
    return answer


def test_what_is_put_is_answered_by_both(authority: Authority, resolver: LocalResolver) -> None:
    authority.put("k1._domainkey.acme.test", "TXT", "v=DKIM1; p=" + "A" * 400)
    for port in (authority.port, resolver.port):
        [rrset] = answered(port, "k1._domainkey.acme.test", "TXT").answer
        assert b"".join(rrset[0].strings).endswith(b"A" * 400)


def test_what_is_taken_away_is_gone_at_the_authority_first(
    authority: Authority, resolver: LocalResolver
) -> None:
    authority.put("kept.acme.test", "A", "192.0.2.1", ttl=60)
    assert answered(resolver.port, "kept.acme.test", "A").answer
    authority.put("kept.acme.test", "A")
    assert answered(authority.port, "kept.acme.test", "A").rcode() == dns.rcode.NXDOMAIN
    assert answered(resolver.port, "kept.acme.test", "A").answer, "the resolver still has it"
