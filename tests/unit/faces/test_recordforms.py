"""Records as a zone file has them, and as an email does."""

from __future__ import annotations

from typing import Any

import dns.zone
from hypothesis import given
from hypothesis import strategies as st

from gateway.faces.cli.recordforms import email_text, zone_snippet

LONG = "v=DKIM1; k=rsa; p=" + "A1b/" * 98
TEXTS = st.text(
    st.characters(min_codepoint=1, max_codepoint=0x10FFFF, exclude_categories=("Cs",)), min_size=1
)
HEAD = """$ORIGIN acme.test.
@ 3600 IN SOA ns.acme.test. hostmaster.acme.test. 1 3600 600 86400 60
@ 3600 IN NS ns.acme.test.
ns 3600 IN A 192.0.2.1
"""


def row(name: str, kind: str, value: str, **more: Any) -> dict[str, Any]:
    about = {"purpose": "dkim", "required": True, "publisher": "customer", "note": None}
    return {"name": name, "type": kind, "value": value, **about, **more}


ROWS = [
    row("_gatepost-challenge.acme.test", "TXT", "gatepost-verification=abc", purpose="ownership"),
    row("acme.test", "MX", "10 mx.gatepost.test", purpose="mx", note="Never replace\nanother; one."),
    row("gp20261126._domainkey.acme.test", "TXT", LONG),
    row("bounce.acme.test", "CNAME", "x.shards.gatepost.test", purpose="return-path"),
    row("_dmarc.acme.test", "TXT", 'v=DMARC1; p="\\none"', purpose="dmarc", required=False),
    row("x.shards.gatepost.test", "TXT", "v=spf1 -all", purpose="spf", publisher="platform"),
]


def parsed(snippet: str) -> dict[tuple[str, str], list[str]]:
    zone = dns.zone.from_text(HEAD + snippet, "acme.test.", relativize=False)
    return {
        (str(name), str(one.rdtype)): [value.to_text() for value in one]
        for name, node in zone.nodes.items()
        for one in node.rdatasets
    }


def strings_of(snippet: str, name: str) -> tuple[bytes, ...]:
    zone = dns.zone.from_text(HEAD + snippet, "acme.test.", relativize=False)
    return tuple(zone.find_rdataset(name, "TXT")[0].strings)


def test_whole_and_relative_names_mean_the_same_records() -> None:
    whole, relative = zone_snippet(ROWS), zone_snippet(ROWS, "acme.test")
    assert parsed(whole) == parsed(relative)
    assert relative.startswith("$ORIGIN acme.test.\n")
    assert "\n@ 3600 IN MX 10 mx.gatepost.test.\n" in relative
    assert "\nacme.test. 3600 IN MX 10 mx.gatepost.test.\n" in whole


def test_a_long_text_is_several_strings_of_one_record() -> None:
    strings = strings_of(zone_snippet(ROWS), "gp20261126._domainkey.acme.test.")
    assert b"".join(strings).decode() == LONG
    assert [len(one) for one in strings[:-1]] == [255] * (len(strings) - 1)


def test_what_stands_in_other_zones_is_a_comment() -> None:
    [line] = [line for line in zone_snippet(ROWS).splitlines() if "x.shards.gatepost.test. " in line]
    assert line.startswith("; ")
    alone = zone_snippet(ROWS[-1:])
    assert 'x.shards.gatepost.test. 3600 IN TXT "v=spf1 -all"\n' in alone


def test_a_note_of_several_lines_stays_a_comment() -> None:
    assert "; Never replace another; one.\n" in zone_snippet(ROWS)


@given(TEXTS)
def test_any_text_comes_out_of_the_zone_as_it_went_in(text: str) -> None:
    snippet = zone_snippet([row("t.acme.test", "TXT", text, note=text)])
    assert b"".join(strings_of(snippet, "t.acme.test.")) == text.encode()


def test_an_email_has_each_value_on_one_line_and_says_what_is_needed() -> None:
    text = email_text({"name": "xn--bcher-kva.test", "unicode_name": "bücher.test"}, ROWS)
    lines = text.splitlines()
    assert lines[0] == "DNS records for bücher.test (xn--bcher-kva.test)"
    assert f"   Value: {LONG}" in lines
    assert lines.index("REQUIRED") < lines.index("RECOMMENDED")
    assert "   Priority: 10" in lines
    assert "   Value: mx.gatepost.test" in lines
    assert "x.shards.gatepost.test" not in [line.removeprefix("   Name:  ") for line in lines]
