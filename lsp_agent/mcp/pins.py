"""What was approved of every server: its command or address, and each of its tools (RELIABILITY MC-02, CF-06).

`pins.json` in the data directory: digests, and of a tool what a person must be shown when it changes. The first look at
a server the user wrote into the configuration, and at its tools, counts as approval; every later difference asks.
"""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsp_agent.mcp.schemas import ToolInfo

_log = logging.getLogger(__name__)

FILE_NAME = "pins.json"
MAX_FILE_BYTES = 32 << 20
_VERSION = 1


class Pins:
    """The approvals of one data directory. Call `load` first; changes are written by `save`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._servers: dict[str, dict[str, Any]] = {}
        self._saving = asyncio.Lock()
        self.is_broken = False
        """The file was there and could not be understood: then nothing counts as approved."""

    async def load(self) -> None:
        """Read the file, if there is one."""
        self._servers, self.is_broken = await asyncio.to_thread(_read, self._path)

    def server(self, name: str, digest: str) -> str:
        """`new`, `same` or `changed`. Nothing is new when the file of approvals is broken."""
        known = self._servers.get(name)
        if known is None:
            return "changed" if self.is_broken else "new"
        return "same" if known.get("digest") == digest else "changed"

    def shown(self, name: str) -> str:
        """The command or address as it was approved; empty when unknown."""
        return str(self._servers.get(name, {}).get("shown", ""))

    def approve_server(self, name: str, digest: str, shown: str) -> None:
        """From now on this is the server of that name. What was approved of another one's tools is forgotten."""
        self._servers[name] = {"digest": digest, "shown": shown, "tools": {}}

    def knows_tools(self, name: str) -> bool:
        """Whether this server's tools were listed before."""
        return bool(self._servers.get(name, {}).get("tools"))

    def tool(self, info: ToolInfo) -> tuple[bool, Mapping[str, Any] | None]:
        """(it is as approved, what was approved: `{"digest", "description", "arguments"}` or None)."""
        pin = self._servers.get(info.server, {}).get("tools", {}).get(info.tool)
        return (False, None) if not isinstance(pin, dict) else (pin.get("digest") == info.digest, pin)

    def approve_tool(self, info: ToolInfo) -> None:
        """From now on the tool is as it is described now. Nothing happens for a server that is not approved."""
        known = self._servers.get(info.server)
        if known is not None:
            known.setdefault("tools", {})[info.tool] = {
                "digest": info.digest,
                "description": info.description,
                "arguments": sorted(info.schema["properties"]),
            }

    async def save(self) -> None:
        """Write the file, whole or not at all. A failure is logged: then it asks again after a restart."""
        async with self._saving:
            text = json.dumps({"version": _VERSION, "servers": self._servers}, indent=1, sort_keys=True)
            try:
                await asyncio.to_thread(write_private, self._path, text.encode("utf-8", "backslashreplace"))
            except OSError as error:
                _log.error("approvals of MCP servers could not be stored: %s", error.strerror)


def write_private(path: Path, data: bytes) -> None:
    """Replace a file atomically; mode 0600. Blocks. Raises: OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], bool]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return {}, True
        content = json.loads(path.read_bytes())
        servers = content["servers"]
        if not isinstance(servers, dict) or not all(
            isinstance(one, dict) and isinstance(one.get("tools", {}), dict) for one in servers.values()
        ):
            return {}, True
    except FileNotFoundError:
        return {}, False
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        _log.error("%s cannot be read; every MCP server must be approved again", path)
        return {}, True
    return servers, False
