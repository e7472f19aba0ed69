"""Each mistake that people make with DNS has its hint; what means the same is valid."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.domains.diagnosis import diagnose, questions_beside
from gateway.control.domains.diagnosis.spf import spf_leads, spf_remark
from gateway.control.domains.view import Purpose, RecordType, RecordView
from gateway.control.keys.material import record_value
from gateway.system.observation import Observation, Outcome, Question
from tests.support.control import cached_key

KEY = cached_key("rsa-sha256", 2048).public_key
OTHER_KEY = cached_key("ed25519-sha256", 256).public_key
PROOF = RecordView("_gatepost-challenge.acme.test", "TXT", "gatepost-verification=abc234", "ownership")
DKIM = RecordView("s1._domainkey.acme.test", "TXT", record_value("rsa-sha256", KEY), "dkim")
DMARC = RecordView("_dmarc.acme.test", "TXT", "v=DMARC1; p=none", "dmarc", required=False)
MX = RecordView("acme.test", "MX", "10 mx.gatepost.test", "mx")
SHARD = RecordView("s1.acme.test", "CNAME", "0a.shards.mx.gatepost.test", "return-path")
SPF = RecordView("0a.shards.mx.gatepost.test", "TXT", "v=spf1 ip4:192.0.2.1 -all", "spf")


def saw(
    record: RecordView, *answers: str, outcome: Outcome = "found", chain: tuple[str, ...] = ()
) -> Observation:
    return Observation(
        record.name, record.type, outcome, answers, chain, zone="acme.test", servers=("ns1.acme.test",)
    )


def judged(record: RecordView, *answers: str, beside: tuple[Observation, ...] = ()) -> tuple[str, str]:
    seen = diagnose(record, saw(record, *answers), beside)
    return seen.state, seen.hint or ""


@pytest.mark.parametrize(
    ("record", "answers"),
    [
        (PROOF, ["gatepost-verification=abc234"]),
        (PROOF, ["something=else", " gatepost-verification=abc234 "]),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY}"]),
        (DKIM, [f"p={KEY}"]),
        (DKIM, [f"v=DKIM1;k=rsa;t=s;s=email:*;h=sha1:sha256;p={KEY};"]),
        (DKIM, [f"p={KEY[:100]} {KEY[100:]} ; t=s"]),
        (DMARC, ["v=DMARC1; p=reject; rua=mailto:me@acme.test"]),
        (DMARC, ["v=DMARC1; rua=mailto:me@acme.test"]),
        (DMARC, ["unrelated", "v=DMARC1; p=none"]),
        (MX, ["20 MX.gatepost.test."]),
        (SHARD, ["0A.shards.mx.Gatepost.test."]),
        (SPF, ["v=spf1  ip4:192.0.2.1 -ALL"]),
        (SPF, ["unrelated", "v=spf1 ip4:192.0.2.1 -all"]),
        (RecordView("_mta-sts.acme.test", "TXT", "v=STSv1; id=7;", "mta-sts"), ["v=STSv1;id=7"]),
        (RecordView("_smtp._tls.acme.test", "TXT", "v=TLSRPTv1; rua=mailto:x@y", "tls-rpt"), ["v=TLSRPTv1;rua=mailto:me@acme.test"]),
    ],
)  # fmt: skip
def test_what_means_the_same_is_valid(record: RecordView, answers: list[str]) -> None:
    seen = diagnose(record, saw(record, *answers))
    assert (seen.state, seen.found) == ("valid", tuple(answers))


@pytest.mark.parametrize(
    ("record", "answers", "hint"),
    [
        (PROOF, ['"gatepost-verification=abc234"'], "Quotes or backslashes"),
        (PROOF, ["\u201cgatepost-verification=abc234\u201d"], "Typographic quotes"),
        (PROOF, ["gatepost-verification= abc234"], "White space"),
        (PROOF, ["Gatepost-Verification=ABC234"], "upper and lower case"),
        (PROOF, ["abc234"], "lacks its beginning"),
        (PROOF, ["gatepost-verification=zzz"], "another claim"),
        (PROOF, ["hello"], "Something else stands here: hello"),
        (DKIM, [f'v=DKIM1; k=rsa; p="{KEY}"'], "Quotes or backslashes"),
        (DKIM, [f"v=DKIM1; k=rsa; p=\u2018{KEY}\u2019"], "Typographic quotes"),
        (DKIM, [f'v=DKIM1; k=rsa; p={KEY[:200]}" "{KEY[200:]}'], "Quotes or backslashes"),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY[:200]}({KEY[200:]})"], "split wrongly"),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY[:200]}", KEY[200:]], "split over 2 records"),
        (DKIM, [KEY[200:], f'"v=DKIM1; k=rsa; p={KEY[:200]}"'], "split over 2 records"),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY[:237]}"], "cut off after 237 of"),
        (DKIM, [f"v=DKIM1; k=ed25519; p={OTHER_KEY}"], "another key's value"),
        (DKIM, [f"v=DKIM1; k=rsa; p={KEY}", "other"], "Remove the others"),
        (DKIM, ["one", "two"], "none of them this key"),
        (DKIM, ["v=DKIM1; p="], "revokes"),
        (DKIM, [KEY], "Only the key"),
        (DKIM, [f"v=DKIM2; p={KEY}"], "says v=DKIM2"),
        (DKIM, [f"k=rsa; v=DKIM1; p={KEY}"], "must stand first"),
        (DKIM, [f"v=DKIM1; h=sha1; p={KEY}"], "forbids"),
        (DKIM, ["v=spf1 -all"], "SPF record stands"),
        (DKIM, ["v=DKIM1; p=MII!"], "is no key"),
        (DKIM, [f"v=DKIM1; p={KEY}abc"], "more in p= than"),
        (DMARC, ["v=DMARC1; p=none", "v=DMARC1; p=reject"], "2 DMARC records"),
        (DMARC, ["v=DMARC1; p=block"], "no valid p="),
        (DMARC, ["v=dmarc1; p=none"], "capital letters"),
        (DMARC, ["hello"], "no DMARC record"),
        (MX, ["10 192.0.2.1"], "points at the address 192.0.2.1"),
        (MX, ["10 mx.gatepost.test.acme.test"], "has added acme.test"),
        (MX, ["10 mx.google.example", "20 alt.google.example"], "do not replace that MX"),
        (MX, ["10 mx.gatepost.test", "20 old.acme.test"], "may also go to old.acme.test"),
        (MX, ["0 "], "takes no mail at all"),
        (SHARD, ["0a.shards.mx.gatepost.test.acme.test"], "has added acme.test"),
        (SHARD, ["other.example"], "points at other.example"),
        (SHARD, ["0a.shards.mx.gatepost.test", "other.example"], "2 CNAMEs"),
        (SPF, ["v=spf1 -all", "v=spf1 ip4:192.0.2.1 -all"], "2 SPF records"),
        (SPF, ["v=spf1 a -all"], "Another SPF record"),
        (SPF, ['"v=spf1 ip4:192.0.2.1 -all"'], "Quotes"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_hint(record: RecordView, answers: list[str], hint: str) -> None:
    state, said = judged(record, *answers)
    assert state == "invalid"
    assert hint in said


def test_a_key_with_white_space_is_valid_and_told_of() -> None:
    assert judged(DKIM, f"v=DKIM1; k=rsa; p={KEY[:100]} {KEY[100:]}") == (
        "valid",
        "White space stands inside the key. Verifiers pass over it; better remove it.",
    )


def test_the_customers_own_dmarc_is_never_to_be_replaced() -> None:
    assert judged(DMARC, "v=DMARC1; p=reject")[1].startswith("Your own DMARC record stays")
    assert "nothing else of it has to change" in judged(DMARC, "v=DMARC1; p=x")[1]


def test_an_mx_to_an_alias_of_ours() -> None:
    alias = Observation("mail.acme.test", "CNAME", "found", ("mx.gatepost.test",))
    seen = saw(MX, "10 mail.acme.test")
    assert questions_beside(MX, seen, "acme.test") == (Question("mail.acme.test", "CNAME"),)
    assert "which is a CNAME" in judged(MX, "10 mail.acme.test", beside=(alias,))[1]


def missing(record: RecordView, *beside: Observation, outcome: Outcome = "no-such-name") -> str:
    seen = diagnose(record, saw(record, outcome=outcome), beside)
    assert seen.state == "missing"
    return seen.hint or ""


def test_a_name_that_the_panel_doubled() -> None:
    questions = questions_beside(PROOF, saw(PROOF, outcome="no-such-name"), "acme.test")
    assert questions[0] == Question("_gatepost-challenge.acme.test.acme.test", "TXT")
    doubled = Observation(*questions[0], "found", ("gatepost-verification=abc234",))
    assert "the panel adds acme.test by itself. Enter _gatepost-challenge" in missing(PROOF, doubled)


def test_a_record_in_the_wrong_zone() -> None:
    record = RecordView("_gatepost-challenge.mail.acme.test", "TXT", PROOF.value, "ownership")
    seen = saw(record, outcome="no-such-name")
    questions = questions_beside(record, seen, "mail.acme.test")
    assert Question("_gatepost-challenge.acme.test", "TXT") in questions
    assert Question("mail.acme.test", "TXT") in questions
    elsewhere = Observation("_gatepost-challenge.acme.test", "TXT", "found", ("x", record.value))
    assert "the wrong place" in missing(record, elsewhere)
    assert "The name servers of acme.test (ns1.acme.test) have no such record" in missing(record)


def test_an_alias_that_other_records_stand_in_the_way_of() -> None:
    questions = questions_beside(SHARD, saw(SHARD, outcome="absent"), "acme.test")
    assert questions[:3] == tuple(Question("s1.acme.test", kind) for kind in ("A", "TXT", "MX"))
    proxied = Observation("s1.acme.test", "A", "found", ("192.0.2.80",))
    beside = Observation("s1.acme.test", "TXT", "found", ("v=spf1 -all",))
    assert "it is proxied" in missing(SHARD, proxied, outcome="absent")
    assert "has a TXT record" in missing(SHARD, beside, outcome="absent")
    assert "has other records" in missing(SHARD, outcome="absent")


def test_a_text_behind_an_alias_that_leads_nowhere() -> None:
    seen = diagnose(PROOF, saw(PROOF, chain=("parked.example",)))
    assert (seen.state, "alias (CNAME) of parked.example" in (seen.hint or "")) == ("missing", True)


def test_servers_that_are_away_say_nothing_of_the_record() -> None:
    seen = diagnose(PROOF, Observation(PROOF.name, "TXT", "away", reason="SERVFAIL"))
    assert (seen.state, seen.found) == ("unreachable", ())
    assert "SERVFAIL" in (seen.hint or "")


def test_a_customers_spf_is_counted_as_far_as_it_is_known() -> None:
    record = "v=spf1 a mx include:_spf.one.test include:two.test redirect=three.test"
    assert spf_leads([record]) == ("_spf.one.test", "two.test", "three.test")
    assert spf_remark("acme.test", [record], {}) is None
    nested = {"_spf.one.test": ["v=spf1 a a a a a ~all"], "two.test": ["v=spf1 exists:%{i}.x -all"]}
    assert "needs 11 or more look-ups" in (spf_remark("acme.test", [record], nested) or "")
    assert "2 SPF records" in (spf_remark("acme.test", [record, "v=spf1 -all"], {}) or "")
    assert spf_remark("acme.test", ["unrelated"], {}) is None
    round_about = {"one.test": ["v=spf1 include:one.test -all"]}
    assert spf_remark("acme.test", ["v=spf1 include:one.test -all"], round_about) is None


_TEXT = st.one_of(st.text(max_size=80), st.text(alphabet="v=DKIM1;p rsakhst\"'\u201c.:/+10", max_size=60))
_RECORDS = st.builds(
    RecordView,
    name=st.sampled_from(["acme.test", "s1.acme.test"]),
    type=st.sampled_from(get_args(RecordType)),
    value=st.one_of(st.sampled_from([PROOF.value, DKIM.value, DMARC.value, MX.value, SPF.value]), _TEXT.filter(str.split)),
    purpose=st.sampled_from(get_args(Purpose)),
)  # fmt: skip
_OBSERVATIONS = st.builds(
    Observation,
    name=st.sampled_from(["acme.test", "s1.acme.test", "acme.test.acme.test"]),
    type=st.sampled_from(get_args(RecordType)),
    outcome=st.sampled_from(get_args(Outcome)),
    answers=st.lists(_TEXT, max_size=5).map(tuple),
    chain=st.lists(st.just("x.test"), max_size=2).map(tuple),
    zone=st.sampled_from(["", "acme.test", "test"]),
)


@given(_RECORDS, _OBSERVATIONS, st.lists(_OBSERVATIONS, max_size=3))
def test_no_answer_breaks_it(record: RecordView, observed: Observation, beside: list[Observation]) -> None:
    seen = diagnose(record, observed, beside)
    assert seen.state in ("missing", "invalid", "valid", "unreachable")
    assert (seen.name, seen.value, seen.purpose) == (record.name, record.value, record.purpose)
    assert (seen.state == "valid") <= bool(observed.answers)
    for question in questions_beside(record, observed, "acme.test"):
        assert len(question.name) <= 253


@given(st.lists(st.integers(0, len(KEY)), max_size=6), st.sampled_from([" ", "\t", "  "]), st.booleans())
def test_a_key_is_valid_wherever_white_space_stands_in_it(places: list[int], space: str, bare: bool) -> None:
    spaced = KEY
    for place in sorted(places, reverse=True):
        spaced = spaced[:place] + space + spaced[place:]
    assert judged(DKIM, f"p={spaced}" if bare else f"v=DKIM1; k=rsa; p={spaced}")[0] == "valid"


@given(st.integers(0, len(KEY) - 1), st.sampled_from("ABCxyz019+/\"'"))
def test_a_key_with_another_letter_is_never_valid(place: int, letter: str) -> None:
    changed = KEY[:place] + letter + KEY[place + 1 :]
    assert judged(DKIM, f"v=DKIM1; k=rsa; p={changed}")[0] == ("valid" if changed == KEY else "invalid")
