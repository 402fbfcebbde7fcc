"""What the configuration says of hosts holds for commands, too: from the start, and from each change on."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.guarantees.conftest import new_world
from tests.guarantees.world import World, sent_to_model, turn
from tests.harness.client import Client
from tests.harness.fake_provider import text, tool, usage

pytestmark = pytest.mark.skipif(sys.platform != "linux" or shutil.which("bwrap") is None, reason="needs bwrap")

HOST = "site.invalid"
GRANTED = f'[sandbox]\nnetwork_domains = ["{HOST}", "no host!"]\n'


async def said_of(world: World, client: Client) -> str:
    """What the model hears of a command that connects to `HOST`."""
    program = f"from urllib.request import urlopen; urlopen('https://{HOST}/', timeout=20)"
    command = {"command": f'/usr/bin/python3 -I -c "{program}"', "description": "connect"}
    world.fake.push([tool("bash", command), usage(1, 1)], [text("done"), usage(1, 1)])
    await turn(client)
    return sent_to_model(world.fake)


async def test_a_host_that_is_ruled_out_is_out_of_reach_of_commands_at_once(tmp_path: Path):
    async with new_world(tmp_path) as world:
        # a name that is none does not keep the server from starting, nor the others from counting
        world.configure(more=f'{GRANTED}[web]\ndeny_domains = ["other.invalid", "no host!"]')
        client = await world.start()
        before = await said_of(world, client)
        assert f"no connection to {HOST}: " in before
        assert "does not allow" not in before
        world.configure(more=f'{GRANTED}[web]\ndeny_domains = ["{HOST}"]')
        assert f"no connection to {HOST}: The configuration does not allow {HOST}" in await said_of(world, client)
