"""SIGKILL under load: every acknowledged message arrives; what arrives twice was logged as possible."""

import sys

import pytest

from tests.support.chaos import Chaos


@pytest.mark.timeout(400)
def test_no_acknowledged_message_is_lost(tmp_path) -> None:
    result = Chaos(tmp_path, messages=2000, kills=5, seed=20261123).run()
    print(result, file=sys.stderr)
    assert result.kills == 5
    assert result.acknowledged >= 2000
    assert result.lost == []
    assert result.damaged == []
    assert result.duplicates <= result.possible_duplicates
