"""A short run of the fuzz; the long one is `python -m tests.wire.fuzz --count 200000`."""

import logging

import pytest

from tests.wire.fuzz import run_fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_bent_frames_get_one_answer_each_and_the_connection_lives(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    result = run_fuzz(2000, seed)
    assert result.failures == []
    assert set(result.answers) >= {"ok", "-32700", "-32600", "-32601", "-32602", "-32603"}
