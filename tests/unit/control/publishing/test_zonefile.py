"""Values as zone files have them, and back: nothing is lost on the way."""

from __future__ import annotations

import dns.rdataclass
import dns.zone
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.publishing.updates import load_secret
from gateway.control.domains.zonefile import plain_value, rdata_of, zone_line


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=800))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    [record] = rdata_of("TXT", [text])
    assert plain_value(record) == text
    zone = dns.zone.from_text(
        "@ 60 IN SOA ns hostmaster 1 1 1 1 1\n@ 60 IN NS ns\n" + zone_line("a.test", "TXT", text),
        origin="test.",
        relativize=False,
    )
    [found] = zone.get_rdataset("a.test.", "TXT")  # type: ignore[union-attr]
    assert found == record


def test_names_get_their_final_dot_and_lose_it() -> None:
    assert zone_line("a.test", "CNAME", "b.test", 60) == "a.test. 60 IN CNAME b.test."
    assert zone_line("a.test", "MX", "10 mx.test") == "a.test. 3600 IN MX 10 mx.test."
    for kind, value in (("MX", "10 mx.test"), ("CNAME", "b.test"), ("A", "192.0.2.1"), ("PTR", "b.test")):
        [record] = rdata_of(kind, [value])
        assert plain_value(record) == value


def test_a_secret_is_base64_and_never_in_the_error() -> None:
    assert load_secret("YSBzZWNyZXQgb2YgdGhlIHRlc3Rz\n") == b"a secret of the tests"
    for bad in ("", "short", "c2hvcnQ=", "not base64 at all, but long enough for it"):
        try:
            load_secret(bad)
        except ValueError as error:
            assert bad == "" or bad not in str(error)
        else:
            raise AssertionError(bad)
