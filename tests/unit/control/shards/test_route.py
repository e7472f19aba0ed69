"""The grammar of routes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.errors import Invalid
from gateway.control.shards.route import Credentials, Route, parse_route
from gateway.control.shards.spf import spf_terms


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("mx", Route("mx")),
        ("local:", Route("local")),
        ("capture:", Route("capture")),
        ("capture:/var/x/", Route("capture", folder="/var/x")),
        ("smtp://Relay.Test", Route("smtp", "relay.test", 25)),
        ("smtp://relay.test:2525?tls=required", Route("smtp", "relay.test", 2525, tls_required=True)),
        ("smtp://relay.test?tls=opportunistic", Route("smtp", "relay.test", 25)),
        (
            "smtp://relay.test?tls=required&spf=include:spf.relay.test,IP4:192.0.2.0/24",
            Route(
                "smtp",
                "relay.test",
                25,
                tls_required=True,
                spf=("include:spf.relay.test", "ip4:192.0.2.0/24"),
            ),
        ),
        ("smtps://relay.test?spf=a:out.test", Route("smtps", "relay.test", 465, True, spf=("a:out.test",))),
        ("smtps://192.0.2.1", Route("smtps", "192.0.2.1", 465, tls_required=True)),
        ("smtp://[2001:db8::1]:26", Route("smtp", "2001:db8::1", 26)),
    ],
)
def test_routes(text: str, route: Route) -> None:
    assert parse_route(text) == (route, None)
    assert parse_route(route.url) == (route, None)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("mx", ()),
        ("capture:", ()),
        ("smtp://relay.test", ("a:relay.test",)),
        ("smtps://192.0.2.1", ("ip4:192.0.2.1",)),
        ("smtp://[2001:DB8::1]", ("ip6:2001:db8::1",)),
        ("smtp://192.0.2.1?spf=include:spf.relay.test", ("include:spf.relay.test",)),
    ],
)
def test_what_spf_names_for_a_route(text: str, terms: tuple[str, ...]) -> None:
    assert spf_terms(parse_route(text)[0]) == terms


def test_credentials_stand_apart() -> None:
    route, credentials = parse_route("smtps://me:p%40ss@relay.test")
    assert (route.url, credentials) == ("smtps://relay.test:465", Credentials("me", "p@ss"))
    assert parse_route("smtp://me:pass@127.0.0.1:2525")[1] == Credentials("me", "pass")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MX",
        "mx:",
        "smtp",
        "http://relay.test",
        "smtp://",
        "smtp://relay.test/path",
        "smtp://relay.test#x",
        "smtp://relay.test?tls=never",
        "smtp://relay.test?tls=required&tls=required",
        "smtp://relay.test?spf=",
        "smtp://relay.test?spf=all",
        "smtp://relay.test?spf=+all",
        "smtp://relay.test?spf=include:x",
        "smtp://relay.test?spf=include:a.test%20+all",
        "smtp://relay.test?spf=ip4:2001:db8::1",
        "smtp://relay.test?spf=a:1.test,a:2.test,a:3.test,a:4.test,a:5.test,a:6.test",
        "smtp://relay.test:0",
        "smtp://relay.test:99999",
        "smtp://relay_test",
        "smtp://re lay.test",
        "smtp://relay.test\r\n",
        "smtp://relay.1",
        "smtps://me@relay.test",
        "smtps://:secret@relay.test",
        "smtps://me:sec%0Aret@relay.test",
        "smtp://me:secret@relay.test",
        "capture:folder",
        "capture:/a/../etc",
        "local:box",
    ],
)
def test_what_is_no_route(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_route(text)
    assert "secret" not in str(refusal.value)


@given(st.text(max_size=40) | st.from_regex(r"smtps?://[ -~]{0,30}", fullmatch=True))
def test_any_text_is_a_route_or_refused(text: str) -> None:
    try:
        route, _ = parse_route(text)
    except Invalid:
        return
    assert parse_route(route.url) == (route, None)
