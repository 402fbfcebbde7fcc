"""A real headless Neovim with our plugin, and the built-in scripted provider behind the real server.

Built on `nvim.Nvim`; here the plugin starts the server, and what it shows is read back from its buffers and view model.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.editors.nvim import ROOT, Nvim, close

PLUGIN = ROOT / "editors/neovim"

SETUP = r"""
local settings = ...
_G.Done, _G.Said = {}, {}
vim.notify = function(text, level) table.insert(Said, text) end
vim.api.nvim_create_autocmd('User', { pattern = 'LspAgentRunComplete', callback = function(args)
  table.insert(Done, args.data)
end })
if settings then require('lsp_agent').setup(settings) end
"""


SELECT = (
    "Shown, Want = {}, ... vim.ui.select = function(all, o, pick) "
    "local names = vim.tbl_map(o.format_item or tostring, all) table.insert(Shown, { o.prompt, names }) "
    "local want = table.remove(Want, 1) "
    "for n, name in ipairs(names) do if want and name:find(want, 1, true) then return pick(all[n], n) end end "
    "pick(nil) end"
)


class PluginNvim(Nvim):
    """Neovim with the plugin on its runtime path.

    `script` is what the scripted provider plays, None = its demonstration; `config` is added to the server's
    configuration; `settings` are the plugin's.
    """

    def __init__(
        self,
        home: Path,
        workspace: Path,
        script: Sequence[Mapping[str, Any]] | None,
        *,
        config: str = "",
        **settings: Any,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        written = '[models]\nlarge = "play/scripted"\n\n[providers.play]\ntype = "scripted"\n'
        if script is not None:
            (home / "script.json").write_bytes(orjson.dumps({"turn": list(script)}))
            written += f'script = "{home}/script.json"\noptions = {{ hold_dir = "{home}/holds" }}\n'
        written += "\n[agent]\nupdate_interval_ms = 0\n" + config
        super().__init__(home, workspace, config=written)
        self._settings = settings

    def __enter__(self) -> PluginNvim:
        super().__enter__()
        self.api.command(f"set runtimepath^={PLUGIN}")
        self.api.command("runtime plugin/lsp_agent.lua")
        self.api.exec_lua(SETUP, {"cmd": self.server, "cmd_env": self.server_env, **self._settings})
        return self

    def release(self, name: str) -> None:
        """Let a `hold` of the script go on."""
        (self.home / "holds").mkdir(exist_ok=True)
        (self.home / "holds" / name).touch()

    def held(self, name: str) -> bool:
        """The script has come to a `hold`."""
        return (self.home / "holds" / f"{name}.held").exists()

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.api.exec_lua(code, *arguments)

    def view(self) -> dict[str, Any]:
        """The view model of the session that is shown; empty when there is none."""
        text = self.lua("local m = require('lsp_agent').view_model(); return m and vim.json.encode(m) or '{}'")
        found: dict[str, Any] = orjson.loads(text)
        return found

    def chat(self) -> str:
        """The text of the chat buffer."""
        found = self.lua(
            "local b = require('lsp_agent.chat').here().view:buffer(); "
            "return vim.api.nvim_buf_get_lines(b, 0, -1, false)"
        )
        return "\n".join(found)

    def completes(self) -> list[Mapping[str, Any]]:
        return list(self.lua("return Done") or [])

    def said(self) -> list[str]:
        """What the plugin notified."""
        return list(self.lua("return Said") or [])

    def tail(self) -> str:
        return f"{self.said()}\n{self.chat()[-1500:]}\n{self.completes()}"

    def focus_chat(self) -> None:
        self.lua("require('lsp_agent.windows').open(require('lsp_agent.chat').here(), true)")

    def pending(self) -> list[Mapping[str, Any]]:
        return list(self.view().get("pending", []))

    def choose(self, *wanted: str) -> None:
        """Answer the next `vim.ui.select`s with the items that contain these; `shown` tells what was offered."""
        self.lua(SELECT, list(wanted))

    def shown(self, count: int = 1) -> list[Any]:
        """The choices put to the user so far, `[prompt, names]` each, once there are so many."""
        return list(self.until(lambda: len(self.lua("return Shown")) >= count and self.lua("return Shown")))

    def is_ready(self) -> bool:
        """The server runs, and the last session is attached."""
        return bool(self.lua("local c = require('lsp_agent.chat').here(); return c.ready and c:client() ~= nil"))

    def connect(self) -> None:
        """Start the server for the current buffer."""
        self.lua("require('lsp_agent.chat').here():when_ready()")
        self.until(self.is_ready)

    def server_pid(self) -> int:
        """The one server of this editor."""
        found = self.server_pids()
        assert len(found) == 1, found
        return found[0]

    def server_pids(self) -> list[int]:
        """Every server of this editor; one that ends has no command line any more."""
        children = self.lua("return vim.api.nvim_get_proc_children(vim.uv.os_getpid())")
        return [int(pid) for pid in children if b"lsp_agent" in _command_line(pid)]

    def kill(self) -> None:
        """kill -9 of the editor itself."""
        pid = int(self.lua("return vim.uv.os_getpid()"))
        os.kill(pid, signal.SIGKILL)
        close(self.api)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def git_workspace(path: Path, files: Mapping[str, str]) -> Path:
    """A small repository with `files`."""
    path.mkdir(parents=True)
    for name, content in files.items():
        (path / name).write_text(content)
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    return path
