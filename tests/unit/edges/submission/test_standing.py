"""Every reason for which an identity falls has an answer."""

from __future__ import annotations

import pytest

from gateway.control.directory import Refused, RefusedReason
from gateway.edges.submission.standing import is_final, standing_reply, standing_text


@pytest.mark.parametrize("reason", list(RefusedReason))
def test_each_reason(reason: RefusedReason) -> None:
    refused = Refused(reason)
    reply = standing_reply(refused)
    if reason is RefusedReason.UNAVAILABLE:
        assert not is_final(refused)
        assert reply.is_transient
    else:
        assert is_final(refused)
        assert (reply.code, reply.enhanced) == (550, "5.7.1")
        assert standing_text(refused) != "this account may not send at the moment"
