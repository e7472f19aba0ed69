"""U-labels to A-labels, against the `idna` library where both know the name."""

from __future__ import annotations

import idna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mail.idna import DomainError, to_ascii


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("Example.COM", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("президент.рф", "xn--d1abbgf6aiiy.xn--p1ai"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ],
)
def test_examples(domain: str, expected: str) -> None:
    assert to_ascii(domain) == expected


@pytest.mark.parametrize(
    "label",
    [
        "ａbc",
        "☃",
        "a\u200db",
        "ü-",
        "-ü",
        "xn--ü",
        "\u0301ü",
        "ﬁü",
        "①",
        "a。ü",
        "ü b",
        "ü_",
        "l·lü",
        "K\u212aü\u2100",
    ],
)
def test_what_idna_2008_does_not_know(label: str) -> None:
    with pytest.raises(DomainError):
        to_ascii(f"{label}.example")


@given(st.text(alphabet=st.characters(min_codepoint=0x80, max_codepoint=0x2FFF), min_size=1, max_size=6))
@example("ß")
@example("ς")
def test_agrees_with_the_idna_library(label: str) -> None:
    try:
        ours = to_ascii(label)
    except DomainError:
        return
    try:
        # The library maps nothing: it is asked for the label in its lower-case, composed form.
        theirs = idna.encode(
            ours.encode("ascii").decode("ascii")[4:].encode("ascii").decode("punycode")
        ).decode("ascii")
    except idna.IDNAError:
        return  # bidi, context and script rules, which are the registries' business
    assert ours == theirs


@given(st.text(max_size=12))
def test_nothing_but_domain_errors(domain: str) -> None:
    try:
        encoded = to_ascii(domain)
    except DomainError:
        return
    assert encoded.isascii()
    assert to_ascii(encoded) == encoded
