"""One test's world: a home, a project, a fake model service and the servers started in it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.client import Client
from tests.harness.fake_provider import FakeProvider

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
            f"[agent]\n{agent}\n[limits]\n{limits if 'retry_base_s' in limits else 'retry_base_s = 0.02' + chr(10) + limits}",
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
        client = await Client.start(self.home, *arguments, env=values, cwd=self.project)
        self.clients.append(client)
        if initialize:
            await client.initialize(agent=agent, root=self.project, **how)
        return client

    async def join(self, socket: Path, *, agent: Mapping[str, Any] | None = None, **how: Any) -> Client:
        """One more client of a server that was started with `--socket`."""
        client = await Client.connect(socket)
        self.clients.append(client)
        await client.initialize(agent=agent, root=self.project, **how)
        return client

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
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
