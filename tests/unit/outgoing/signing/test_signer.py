"""Our signatures verify with dkimpy, over awkward messages too, and say what they should."""

import base64
import re
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from dkim.canonicalization import Relaxed
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.control.records import KeyRecord
from gateway.mail.headers import parse_header, split_message
from gateway.outgoing.signing import KeyCache, NoSignature, Signer, UnusableKey, still_stands
from gateway.outgoing.signing.canonical import relaxed_body, relaxed_field

NOW = 1_790_000_000.0


@cache
def private_keys() -> dict[str, bytes]:
    """One private key of each algorithm, PKCS#8 DER."""
    made = {
        "rsa-sha256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ed25519-sha256": ed25519.Ed25519PrivateKey.generate(),
    }
    return {
        name: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        for name, key in made.items()
    }


def record(algorithm: str = "rsa-sha256", state: str = "active", selector: str = "s1") -> KeyRecord:
    return KeyRecord(
        id=f"key-{algorithm}",
        tenant_id="t",
        domain_id="d",
        domain="example.com",
        selector=selector,
        algorithm=algorithm,
        state=state,
        sealed=b"",
        created_at=NOW,
    )


def signer() -> Signer:
    return Signer(KeyCache(lambda key: private_keys()[key.algorithm]))


def dns_text(algorithm: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    public = load_der_private_key(private_keys()[algorithm], None).public_key()
    if algorithm == "rsa-sha256":
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b"v=DKIM1; k=rsa; p=" + base64.b64encode(octets)
    octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(octets)


def signed(message: bytes, *algorithms: str) -> bytes:
    header, body = split_message(message)
    signatures = signer().sign(parse_header(header), body, [record(name) for name in algorithms], NOW)
    return signatures.header + message


def verifies(message: bytes, algorithm: str, index: int = 0) -> bool:
    verifier = dkim.DKIM(message)
    try:
        return bool(verifier.verify(idx=index, dnsfunc=lambda *_args, **_kw: dns_text(algorithm)))
    except dkim.ValidationError:
        return False


@pytest.fixture(autouse=True)
def now_is_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """dkimpy reads the machine's clock for `t=` and `x=`: give it ours."""
    monkeypatch.setattr("dkim.time.time", lambda: NOW)


AWKWARD = {
    "plain": b"From: a@example.com\r\nSubject: hi\r\n\r\nhello\r\n",
    "empty body": b"From: a@example.com\r\nSubject: hi\r\n\r\n",
    "only empty lines": b"From: a@example.com\r\n\r\n\r\n\r\n\r\n",
    "only blanks": b"From: a@example.com\r\n\r\n \t \r\n\t\r\n",
    "no body at all": b"From: a@example.com\r\n",
    "folded": b"From: a\r\n <a@example.com>\r\nSubject: one\r\n\ttwo\r\n   three \r\n\r\nx\r\n",
    "trailing blanks": b"From: a@example.com\r\n\r\nfoo \t \r\n\tbar  baz\r\n \r\n\r\n",
    "repeated": b"From: a@example.com\r\nTo: b@c\r\nTo: d@e\r\nReceived: x\r\n\r\nx\r\n",
    "8-bit": "From: ä@example.com\r\nSubject: Grüße\r\n\r\nÄÖ\r\n".encode(),
    "dots": b"From: a@example.com\r\n\r\n.\r\n..\r\n.x\r\n",
    "own signature": b"DKIM-Signature: v=1; b=abc\r\nFrom: a@example.com\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
def test_dkimpy_verifies_what_we_sign(name: str, algorithm: str) -> None:
    assert verifies(signed(AWKWARD[name], algorithm), algorithm)


def test_two_signatures_both_verify() -> None:
    message = signed(AWKWARD["folded"], "ed25519-sha256", "rsa-sha256")
    assert verifies(message, "rsa-sha256", 0)
    assert verifies(message, "ed25519-sha256", 1)


@pytest.mark.parametrize(
    "added",
    [
        b"From: evil@example.net\r\n",
        b"Subject: other\r\n",
        b"To: x@y\r\n",
        b"Reply-To: x@y\r\n",
        b"List-Id: <x>\r\n",
    ],
)
def test_an_added_field_breaks_the_signature(added: bytes) -> None:
    message = signed(AWKWARD["plain"], "rsa-sha256")
    assert verifies(message, "rsa-sha256")
    assert not verifies(added + message, "rsa-sha256")


def test_a_changed_body_breaks_the_signature() -> None:
    assert not verifies(signed(AWKWARD["plain"], "rsa-sha256") + b"more\r\n", "rsa-sha256")


def test_the_field_says_what_was_promised() -> None:
    header, _ = split_message(signed(AWKWARD["plain"], "rsa-sha256"))
    field = parse_header(header).fields[0]
    text = field.raw.decode()
    assert "c=relaxed/relaxed" in text
    assert f"x={int(NOW) + 7 * 86_400}" in text
    assert not re.search(r"[;\s]l=", text)
    assert all(len(line) <= 78 for line in text.split("\r\n"))
    assert text.count("from") == 2


def test_no_key_is_a_temporary_refusal() -> None:
    with pytest.raises(NoSignature) as caught:
        signer().sign(parse_header(b"From: a@example.com\r\n"), b"", [], NOW)
    assert caught.value.reply.code == 451
    assert caught.value.reply.enhanced == "4.7.0"


def test_an_unreadable_key_is_a_temporary_refusal_that_names_the_domain() -> None:
    broken = Signer(KeyCache(lambda _key: b"rubbish"))
    with pytest.raises(NoSignature) as caught:
        broken.sign(parse_header(b"From: a@example.com\r\n"), b"", [record()], NOW)
    assert "example.com" in caught.value.reply.text


def test_a_key_of_another_kind_is_unusable() -> None:
    cache_of_wrong = KeyCache(lambda _key: private_keys()["ed25519-sha256"])
    with pytest.raises(UnusableKey):
        cache_of_wrong.signer(record("rsa-sha256"))


def test_resigning_needs_only_header_and_body_hash() -> None:
    message = AWKWARD["trailing blanks"]
    header, body = split_message(message)
    first = signer().sign(parse_header(header), body, [record()], NOW - 9 * 86_400)
    again = signer().resign(parse_header(header), first.body_hash, [record()], NOW)
    assert verifies(again.header + message, "rsa-sha256")


@pytest.mark.parametrize(
    ("age_days", "state", "stands"),
    [
        (0, "active", True),
        (5, "retiring", True),
        (6.5, "active", False),
        (0, "revoked", False),
        (0, None, False),
    ],
)
def test_stored_signatures_stand_while_key_and_age_allow(
    age_days: float, state: str | None, stands: bool
) -> None:
    header, body = split_message(AWKWARD["plain"])
    made = signer().sign(parse_header(header), body, [record()], NOW)
    key = None if state is None else record(state=state)
    assert still_stands(made, [key], NOW + age_days * 86_400) is stands


def test_space_before_the_colon_is_no_part_of_the_name() -> None:
    """RFC 6376 §3.4.2; dkimpy does not read such a message at all."""
    assert relaxed_field(b"Subject \t: a\t b \r\n") == b"subject:a b\r\n"


LINES = st.lists(
    st.text(alphabet=" \tab.é\x00=", max_size=12).map(lambda text: text.encode() + b"\r\n"), max_size=12
)


@given(LINES)
@settings(max_examples=300)
def test_relaxed_body_is_dkimpys(lines: list[bytes]) -> None:
    body = b"".join(lines)
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


@given(
    st.text(alphabet="aB-c", min_size=1, max_size=6),
    st.lists(st.text(alphabet=" \tab:é;", max_size=8), min_size=1, max_size=4),
)
def test_relaxed_field_is_dkimpys(name: str, parts: list[str]) -> None:
    raw = f"{name}:".encode() + b"\r\n ".join(part.encode() for part in parts) + b"\r\n"
    field_name, _, value = raw.partition(b":")
    [(expected_name, expected)] = Relaxed.canonicalize_headers([(field_name, value)])
    assert relaxed_field(raw) == expected_name + b":" + expected


@given(
    LINES,
    st.lists(
        st.sampled_from([b"Subject: x  y \r\n", b"To: a@b\r\n", b"X-Odd:\r\n", b"CC: c@d,\r\n\te@f\r\n"])
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_message_verifies(lines: list[bytes], fields: list[bytes]) -> None:
    message = b"From: a@example.com\r\n" + b"".join(fields) + b"\r\n" + b"".join(lines)
    assert verifies(signed(message, "ed25519-sha256"), "ed25519-sha256")
