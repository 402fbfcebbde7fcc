"""The benchmarks run: every floor and the product answer the same questions, and a wrong byte is noticed."""

import asyncio
import sys

import orjson
import pytest

from benchmarks.contender import CONTENDERS, REPOSITORY
from benchmarks.model import plan_text
from benchmarks.peer import Running, Wrong


@pytest.mark.process
async def test_a_round_measures_every_contender(tmp_path):
    found = tmp_path / "figures.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks", "start", "--rounds", "1", "--json", str(found)),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode() + out.decode()
    figures = orjson.loads(found.read_bytes())["figures"]
    assert set(figures["start → initialize, ms"]) == {contender.name for contender in CONTENDERS}
    assert b"load" in out


async def test_a_text_that_is_not_the_models_is_wrong():
    run = Running("s", sent_us=0, pieces=[(5, "a1;0,2;"), (6, "h0000;")])
    run.complete = {"stopReason": "end_turn", "text": "a1;0,2;h0000;"}
    with pytest.raises(Wrong, match="not what the model wrote"):
        run.check()


async def test_a_run_that_failed_is_wrong():
    run = Running("s", sent_us=0)
    run.complete = {"stopReason": "error", "error": {"kind": "Provider"}}
    with pytest.raises(Wrong, match="Provider"):
        run.check()


def test_a_plan_survives_its_way_through_a_prompt():
    assert plan_text({"burst": 3}) == 'PLAN{"burst":3}END'
