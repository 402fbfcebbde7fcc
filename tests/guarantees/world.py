"""One test's world: a home, a project, a fake model service and the servers started in it."""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.guarantees.contract import Recording
from tests.harness.client import Client, Failed
from tests.harness.fake_provider import FakeProvider, text, usage

CANARY = "sk-canary-4711-do-not-show"
PATHS = {"anthropic": "", "openai": "/v1", "openai-compat": "/v1"}


@dataclass
class World:
    """Call `configure` (optional), then `start`."""

    home: Path
    project: Path
    fake: FakeProvider
    clients: list[Client] = field(default_factory=list)
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.home / "config.toml"
        self.configure()

    def configure(
        self,
        *,
        type_: str = "anthropic",
        base_url: str | None = None,
        key: str | None = '"$FAKE_KEY"',
        model: str = "",
        large: str = "fake/large",
        agent: str = "",
        limits: str = "",
        permissions: str = 'mode = "full-auto"',
        more: str = "",
    ) -> None:
        """Write the user's configuration file."""
        lines = [
            f'[models]\nlarge = "{large}"\n',
            f'[providers.fake]\ntype = "{type_}"\nbase_url = "{base_url or self.fake.url + PATHS[type_]}"',
            f"api_key = {key}" if key else "",
            '[[providers.fake.models]]\nid = "large"\nname = "Large"\nmax_output_tokens = 4096',
            "input_usd_per_mtok = 3.0\noutput_usd_per_mtok = 15.0",
            model if "context_window" in model else f"context_window = 200000\n{model}",
            f"[agent]\n{agent}",
            "[limits]" if "retry_base_s" in limits else "[limits]\nretry_base_s = 0.02",
            limits,
            f"[permissions]\n{permissions}\n{more}\n",
        ]
        self.config.write_text("\n".join(lines))

    async def start(
        self,
        *arguments: str,
        agent: Mapping[str, Any] | None = None,
        initialize: bool = True,
        env: Mapping[str, str] | None = None,
        **how: Any,
    ) -> Client:
        """A server and its editor on stdio, introduced unless told otherwise. `env`: more of it ('' removes)."""
        values = {"LSP_AGENT_CONFIG": str(self.config), "FAKE_KEY": CANARY, **(env or {})}
        values = {name: value for name, value in values.items() if value}
        client = await Recording.start(self.home, *arguments, env=values, cwd=self.project)
        self.clients.append(client)
        if initialize:
            await client.initialize(agent=agent, root=self.project, **how)
        return client

    async def join(self, socket: Path, *, agent: Mapping[str, Any] | None = None, **how: Any) -> Client:
        """One more client of a server that was started with `--socket`."""
        client = await Recording.connect(socket)
        self.clients.append(client)
        await client.initialize(agent=agent, root=self.project, **how)
        return client

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def no_secret_anywhere(self) -> None:
        """The key is in no frame, log, database or stderr."""
        for client in self.clients:
            assert CANARY not in client.stderr
            assert CANARY not in repr(client.messages)
        for folder, _, names in os.walk(self.home / "data"):
            for name in names:
                path = Path(folder, name)
                if path.is_file():
                    assert CANARY.encode() not in path.read_bytes(), f"the key is in {name}"

    async def close(self) -> None:
        """End every server."""
        for client in self.clients:
            await client.aclose()


@dataclass
class Shared:
    """One server for the tests of a module."""

    world: World
    client: Client
    fake: FakeProvider

    async def session(self, **params: Any) -> str:
        """A new session's id."""
        return str((await self.client.request("agent/session/new", params))["sessionId"])


def fresh(name: str = "run") -> str:
    """A run id nobody has used."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


async def turn(client: Client, prompt: Any = "hello", **params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """`agent/run` and its end: (result, runComplete)."""
    run_id = params.pop("runId", None) or fresh()
    result = await client.request("agent/run", {"prompt": prompt, "runId": run_id, **params})
    return result, await client.until_complete(run_id)


async def begin(client: Client, fake: FakeProvider, prompt: str = "wait", **params: Any) -> tuple[str, str, str]:
    """A run that has reached the model and is held there: (session, run id, name to `fake.release`)."""
    hold, run_id = fresh("hold"), params.pop("runId", None) or fresh()
    before = len(fake.requests)
    fake.turns.appendleft([text("held "), {"hold": hold}, text("done"), usage(1, 1)])
    result = await client.request("agent/run", {"prompt": prompt, "runId": run_id, **params})
    session = result["sessionId"]
    await client.until(
        lambda m: (
            m.get("method") == "agent/event"
            and m["params"].get("runId") == run_id
            and m["params"]["update"]["sessionUpdate"] == "agent_message_chunk"
        )
    )
    assert len(fake.requests) > before
    return session, run_id, hold


async def refused(client: Client, method: str, params: Any) -> Failed:
    """The error a request is answered with."""
    try:
        result = await client.request(method, params)
    except Failed as error:
        return error
    raise AssertionError(f"{method} {params} was accepted: {result}")


async def idle(client: Client, session: str) -> None:
    """Wait for the `state_update idle` behind the last of the session's terminal events so far."""
    ends = len(completes(client, session))

    def rested(message: dict[str, Any]) -> bool:
        nonlocal ends
        params = message.get("params") or {}
        if message.get("method") == "agent/runComplete" and params["sessionId"] == session:
            ends -= 1
        update = params.get("update", {}) if message.get("method") == "agent/event" else {}
        return ends <= 0 and params.get("sessionId") == session and update.get("state") == "idle"

    await client.until(rested)


def completes(client: Client, session: str) -> list[tuple[str | None, str]]:
    """(run id, stop reason) of the session's terminal events in order."""
    return [(e["runId"], e["stopReason"]) for e in client.events(session) if "stopReason" in e]


def sent_to_model(fake: FakeProvider, at: int = -1) -> str:
    """The messages of a model request as text."""
    wanted = [item for item in fake.requests if (item.body or {}).get("tools")]
    return json.dumps(wanted[at].body["messages"], ensure_ascii=False)
