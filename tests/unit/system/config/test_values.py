"""Each kind of value: what it takes, what it makes of it, what it says to the rest."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.system.config import parse_duration, parse_size, values
from gateway.system.config.values import Kind, Mistake

FOLDER = Path("/etc/gatepost")


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ("25 MiB", 26_214_400),
        ("64KB", 64_000),
        ("1.5 KiB", 1_536),
        ("0", 0),
        (7, 7),
        ("3 b", 3),
        ("1 gib", 2**30),
    ],
)
def test_sizes(written: object, octets: int) -> None:
    assert parse_size(written) == octets


@pytest.mark.parametrize("written", ["", "MiB", "-1", -1, True, 1.5, "1 fish", "1e3", [], "١ MiB "])
def test_no_sizes(written: object) -> None:
    with pytest.raises(Mistake, match="write a size"):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30s", 30),
        ("5min", 300),
        ("5m", 300),
        ("1h 30m", 5_400),
        ("3d", 259_200),
        ("250ms", 0.25),
        (2, 2),
        (0.5, 0.5),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "30", "s", "-1s", -1, True, "1x", "1 month", None, float("inf"), float("nan")]
)
def test_no_durations(written: object) -> None:
    with pytest.raises(Mistake, match="write a duration"):
        parse_duration(written)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text()) | st.none())
def test_readers_raise_nothing_but_mistakes(value: Any) -> None:
    kinds = [
        *(values.size(0, 10), values.duration(0, 10), values.integer(0, 10), values.choice("a")),
        *(values.choices("a"), values.many(values.endpoint()), values.endpoint(53), values.path()),
        *(values.host_name(), values.node_name(), values.user_name(), values.recipient()),
        *(values.database_url(), values.blob_store(), values.route()),
    ]
    for kind in kinds:
        try:
            kind.read(value, FOLDER)
        except Mistake as mistake:
            assert "\n" not in str(mistake)


GOOD = [
    (values.endpoint(), "127.0.0.1:587", "127.0.0.1:587"),
    (values.endpoint(), "[::1]:587", "[::1]:587"),
    (values.endpoint(), "localhost:25", "127.0.0.1:25"),
    (values.endpoint(), "*:25", "0.0.0.0:25"),
    (values.endpoint(53), "9.9.9.9", "9.9.9.9:53"),
    (values.endpoint(53), "::1", "[::1]:53"),
    (values.endpoint(53), "[::1]", "[::1]:53"),
    (values.path(), "key.pem", Path("/etc/gatepost/key.pem")),
    (values.path(), "/a/b", Path("/a/b")),
    (values.host_name(), "Mail.Example.COM.", "mail.example.com"),
    (values.database_url(), "sqlite:////var/x.db", "sqlite:////var/x.db"),
    (values.database_url(), "sqlite:///x.db", "sqlite:////etc/gatepost/x.db"),
    (values.database_url(), "postgresql://u:p@h/d", "postgresql://u:p@h/d"),
    (values.blob_store(), "blobs", "/etc/gatepost/blobs"),
    (values.blob_store(), "file:///b", "/b"),
    (values.blob_store(), "s3://bucket/prefix", "s3://bucket/prefix"),
    (values.route(), "mx", "mx"),
    (values.route(), "smtp://u:p@h:587?tls=required", "smtp://u:p@h:587?tls=required"),
    (
        values.route(),
        "smtps://h?spf=include:s.test&tls=required",
        "smtps://h?spf=include:s.test&tls=required",
    ),
    (values.route(), "capture:/tmp/x y", "capture:/tmp/x y"),
    (values.recipient(), "@Example.org", "example.org"),
    (values.recipient(), "Me@Example.org", "me@example.org"),
    (values.choices("a", "b"), ["a"], frozenset({"a"})),
    (values.many(values.recipient()), "a@b", ("a@b",)),
]


@pytest.mark.parametrize(("kind", "written", "value"), GOOD)
def test_good_values(kind: Kind, written: Any, value: Any) -> None:
    assert kind.read(written, FOLDER) == value


BAD = [
    (values.endpoint(), "127.0.0.1", "no port"),
    (values.endpoint(), "mail.example.com:25", "no IP address"),
    (values.endpoint(), "::1:25", "no port"),
    (values.endpoint(), "1.2.3.4:0", "no port from 1"),
    (values.endpoint(), "1.2.3.4:65536", "no port from 1"),
    (values.host_name(), "localhost", "full domain name"),
    (values.host_name(), "1.2.3.4", "full domain name"),
    (values.host_name(), "mül.example", "full domain name"),
    (values.host_name(), "-a.example", "full domain name"),
    (values.database_url(), "mysql://x", '"mysql" is not supported'),
    (values.database_url(), "sqlite://", "names no file"),
    (values.database_url(), "sqlite:///:memory:", "names no file"),
    (values.blob_store(), "s3://", "no bucket"),
    (values.blob_store(), "gs://b", "neither"),
    (values.route(), "smtp://", "no route"),
    (values.route(), "mx:", "no route"),
    (values.integer(1, 4), "2", "no whole number"),
    (values.integer(1, 4), 5, "1 to 4"),
    (values.choice("auto", "manual"), "atuo", 'did you mean "auto"'),
    (values.choices("a"), [], "empty"),
    (values.many(values.recipient()), ["a@b", "A@B"], "twice"),
    (values.many(values.recipient()), {}, "no list"),
    (values.flag(), "yes", "true or false"),
    (values.flag(), 1, "true or false"),
    (values.web_address(), "example.com/plans", "https://"),
    (values.web_address(), "https://a b", "https://"),
    (values.path(), "", "empty"),
    (values.path(), "a\0b", "NUL"),
]


@pytest.mark.parametrize(("kind", "written", "said"), BAD)
def test_bad_values(kind: Kind, written: Any, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        kind.read(written, FOLDER)
    assert said in str(caught.value)


def test_passwords_are_not_shown() -> None:
    for kind in (values.database_url(), values.route()):
        with pytest.raises(Mistake) as caught:
            kind.read("smtpx://user:Hunter2@host/x", FOLDER)
        assert "Hunter2" not in str(caught.value)
