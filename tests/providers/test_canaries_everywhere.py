"""RELIABILITY EX-13 over the real process: 200 keys in every place a key can be put, and none comes out anywhere."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import psutil
import pytest

from tests.guarantees.world import World, begin, turn
from tests.harness.client import Client
from tests.harness.fake_provider import FakeProvider, http, text, tool, usage

pytestmark = pytest.mark.process

LOOK = (
    "env; tr '\\0' '\\n' < /proc/self/environ; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; true"
)
ENV_NAMES = (
    *("OPENAI_API_KEY", "OPENROUTER_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY", "AZURE_OPENAI_API_KEY"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "CLOUDSDK_AUTH_ACCESS_TOKEN"),
    *("GH_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN", "NPM_TOKEN", "HF_TOKEN", "SLACK_TOKEN", "STRIPE_SECRET"),
    *("DATABASE_URL", "PGPASSWORD", "KEY", "SECRET", "ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"),
)


class Canaries:
    """Hands out keys and remembers them."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def one(self) -> str:
        self.all.append(f"cnry{len(self.all):03d}Zq{'xkvj'[len(self.all) % 4] * 12}")
        return self.all[-1]

    def found_in(self, data: bytes | str) -> list[str]:
        raw = data if isinstance(data, bytes) else data.encode()
        return [key for key in self.all if key.encode() in raw]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "project").mkdir()
    async with FakeProvider(aside=[text("A short title")], fallback=[text("ok"), usage(1, 1)]) as fake:
        made = World(tmp_path, tmp_path / "project", fake)
        yield made
        await made.close()


def plant(world: World, keys: Canaries) -> dict[str, str]:
    """Keys in the user's file, in files it points to, in a login and in the environment; returns the environment."""
    env = {name: keys.one() for name in ENV_NAMES}
    env |= {f"TEAM_{number}_API_KEY": keys.one() for number in range(60)}
    env |= {f"PLAIN_{number}": keys.one() for number in range(30)}
    env["HTTPS_PROXY"] = f"http://me:{keys.one()}@127.0.0.1:9"
    blocks: list[str] = []
    for number in range(20):
        env[f"BLOCK_{number}"] = keys.one()
        key = [f'"{keys.one()}"', f'"$BLOCK_{number}"', f'"$(printenv BLOCK_{number})"'][number % 3]
        blocks.append(
            f'[providers.p{number}]\ntype = "openai-compat"\nbase_url = "http://me:{keys.one()}@127.0.0.1:9/v1"\n'
            f'api_key = {key}\nheaders = {{ "x-token" = "{keys.one()}", "x-other" = "$BLOCK_{number}" }}\n'
            f'[[providers.p{number}.models]]\nid = "m"'
        )
    echo = Path(__file__).parent.parent / "mcp" / "sdk_server.py"
    blocks += [
        f'[mcp.local]\ncommand = ["{sys.executable}", "{echo}"]\nenv = {{ MCP_TOKEN = "{keys.one()}" }}',
        f'[mcp.far]\ntype = "http"\nurl = "http://127.0.0.1:9/mcp"\nheaders = {{ authorization = "{keys.one()}" }}',
    ]
    headers = f'headers = {{ "x-gateway" = "{keys.one()}" }}'
    world.configure(limits="retries = 0", more="\n".join(blocks))
    told = world.config.read_text().replace('api_key = "$FAKE_KEY"', f'api_key = "$FAKE_KEY"\n{headers}', 1)
    world.config.write_text(told)
    logins = world.home / "data" / "logins"
    logins.mkdir(mode=0o700, parents=True)
    login = {"access": keys.one(), "refresh": keys.one(), "obtained_s": 0, "expires_s": 0, "address": ""}
    (logins / "copilot.json").write_bytes(orjson.dumps(login))
    while len(keys.all) < 200:
        env[f"MORE_{len(keys.all)}_TOKEN"] = keys.one()
    return {**env, "FAKE_KEY": keys.one()}


async def allow_everything(client: Client) -> None:
    """A user who says yes to whatever is asked."""
    answered: set[str] = set()
    while True:
        for message in client.messages:
            update = (message.get("params") or {}).get("update", {})
            if update.get("sessionUpdate") == "permission_requested" and update["requestId"] not in answered:
                answered.add(update["requestId"])
                choices = {option["kind"]: option["optionId"] for option in update["options"]}
                outcome = {"type": "selected", "optionId": choices.get("allow_once") or choices["reject_once"]}
                params = {"requestId": update["requestId"], "outcome": outcome}
                await client.request("agent/permission/respond", params)
        await client.arrived()


def descendants(client: Client) -> list[psutil.Process]:
    assert client.process is not None
    return psutil.Process(client.process.pid).children(recursive=True)


def seen_of(process: psutil.Process) -> str:
    try:
        return json.dumps([process.cmdline(), process.environ(), process.name()])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""  # it has ended meanwhile


async def watch(client: Client, keys: Canaries, found: set[str], until: asyncio.Event) -> int:
    """Look at the process list again and again; how many processes there were."""
    pids: set[int] = set()
    assert client.process is not None
    itself = json.dumps([psutil.Process(client.process.pid).cmdline()])[:-1]
    while not until.is_set():
        for process in descendants(client):
            pids.add(process.pid)
            shown = await asyncio.to_thread(seen_of, process)
            if shown.startswith(itself):
                continue  # between fork and exec a child still is the server
            # what runs a user's own MCP server gets what the user's file gives it, and that alone
            found.update(key for key in keys.found_in(shown) if "MCP_TOKEN" not in shown)
        assert client.process is not None
        found.update(keys.found_in(json.dumps(psutil.Process(client.process.pid).cmdline())))
        try:
            await asyncio.wait_for(until.wait(), 0.01)
        except TimeoutError:
            continue
    return len(pids)


def remains(world: World, keys: Canaries) -> dict[str, list[str]]:
    """Files below the home directory that hold a key, without those the test put there."""
    planted = {world.config, world.home / "data/logins/copilot.json"}
    out: dict[str, list[str]] = {}
    for folder, _, names in os.walk(world.home):
        for name in names:
            path = Path(folder, name)
            if path not in planted and path.is_file() and (leaked := keys.found_in(path.read_bytes())):
                out[str(path)] = leaked
    return out


@pytest.mark.timeout(150)
async def test_EX_13_none_of_200_keys_leaves_the_place_it_was_put(world: World):
    keys = Canaries()
    env = plant(world, keys)
    assert len(keys.all) >= 200
    client = await world.start(env=env)
    found: set[str] = set()
    over = asyncio.Event()
    watching = asyncio.create_task(watch(client, keys, found, over))
    allowing = asyncio.create_task(allow_everything(client))

    # the model looks for them wherever a command can look
    session = None
    for command in (LOOK, f"{LOOK} > out.txt; sleep 0.3", f"cat {world.config} {world.home}/data/logins/*"):
        world.fake.push([tool("bash", {"command": command, "description": "look"})], [text("seen"), usage(1, 1)])
        result, done = await turn(client, **({"sessionId": session} if session else {}))
        assert done["stopReason"] == "end_turn", done
        session = result["sessionId"]
    # the service quotes what it was sent, in every way it can
    sent = world.fake.requests[0].headers
    quoted = f"bad key {sent.get('x-api-key')} and {sent.get('x-gateway')}"
    for answer in (
        [http(401, {"x-request-id": quoted}, {"error": {"message": quoted}})],
        [{"error_event": {"type": "api_error", "message": quoted}}],
        [http(500, None, quoted)],
    ):
        world.fake.push(answer)
        await turn(client, sessionId=session)
    # every provider is tried and fails, every list and report is asked for
    for number in range(20):
        await turn(client, sessionId=session, options={"model": f"p{number}/m"})
    await turn(client, sessionId=session, options={"model": "copilot/m"})
    for method in ("agent/status", "agent/models/list", "agent/mcp/list", "agent/tools/list", "agent/session/list"):
        await client.request(method, {})
    for shape in ("json", "markdown"):
        await client.request("agent/session/export", {"sessionId": session, "format": shape})
    await begin(client, world.fake, sessionId=session)
    over.set()
    assert await watching >= 2
    allowing.cancel()
    await asyncio.gather(allowing, return_exceptions=True)
    await world.close()

    asked = [item.body for item in world.fake.requests]
    assert keys.found_in(json.dumps(asked)) == []
    assert keys.found_in(repr(client.messages)) == []
    assert keys.found_in(client.stderr) == []
    assert remains(world, keys) == {}
    assert sorted(found) == []


@pytest.mark.timeout(150)
async def test_EX_13_a_configuration_that_is_wrong_is_named_without_its_values(world: World):
    keys = Canaries()
    for broken in (
        f'api_key = ["{keys.one()}"]',
        f'api_key = "{keys.one()}',
        f'headers = "{keys.one()}"',
        f'type = "{keys.one()}"',
        f'base_url = "ftp://{keys.one()}"',
        f"options = '{keys.one()}'",
    ):
        world.config.write_text(f'[models]\nlarge = "p/m"\n[providers.p]\n{broken}\n')
        client = await world.start()
        await turn(client)
        assert keys.found_in(repr(client.messages) + client.stderr) == [], broken
        await client.aclose()
    assert remains(world, keys) == {}
