"""Where the configuration is and where state lives. Only the environment decides; no file of a workspace is asked."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lsp_agent.domain.errors import AgentError

PROJECT_FILE = ".lsp-agent.toml"
SOCKET_NAME = "server.sock"
"""In the data directory: where the server that holds it listens for further clients."""


class DataDirRefused(AgentError):
    """The data directory cannot be used; the text says why and what to set."""


def config_file(env: Mapping[str, str]) -> Path:
    """The user's file: `$LSP_AGENT_CONFIG`, else `$XDG_CONFIG_HOME/lsp-agent/config.toml`. It may not exist."""
    named = env.get("LSP_AGENT_CONFIG")
    if named:
        return Path(named).expanduser()
    return _xdg(env, "XDG_CONFIG_HOME", ".config") / "lsp-agent" / "config.toml"


def state_home(env: Mapping[str, str]) -> Path:
    """Where the state of every workspace lies when nobody named a directory: `$XDG_STATE_HOME/lsp-agent`."""
    return _xdg(env, "XDG_STATE_HOME", ".local/state") / "lsp-agent"


def common_state(env: Mapping[str, str]) -> Path:
    """Where state lies that all workspaces share (logins, prices): the named directory, else `state_home`."""
    named = Path(env.get("LSP_AGENT_DATA_DIR") or "")
    return named if named.is_absolute() else state_home(env)


def data_dir(env: Mapping[str, str], root: Path) -> Path:
    """The directory of state for a workspace: `$LSP_AGENT_DATA_DIR`, else one of its own below `state_home`.

    Each workspace has its own, named after its first root, so that two editor windows never wait for one lock. It may
    not exist.
    Raises: DataDirRefused when `$LSP_AGENT_DATA_DIR` is relative: an editor starts us in the repository.
    """
    named = env.get("LSP_AGENT_DATA_DIR")
    if not named:
        return state_home(env) / "workspaces" / _workspace_name(root.resolve())
    path = Path(named).expanduser()
    if not path.is_absolute():
        raise DataDirRefused("LSP_AGENT_DATA_DIR must be an absolute path")
    return path


def workspace_root(env: Mapping[str, str], folder: Path) -> Path:
    """The workspace a terminal in `folder` means: the nearest folder at or above it that has state, else itself.

    The home directory and what is above it are never meant from below. Raises: DataDirRefused.
    """
    real, home = folder.resolve(), _home(env).resolve()
    if env.get("LSP_AGENT_DATA_DIR"):
        return real
    around = [path for path in (real, *real.parents) if path == real or not home.is_relative_to(path)]
    return next((path for path in around if data_dir(env, path).is_dir()), real)


def prepare_data_dir(env: Mapping[str, str], roots: Iterable[Path] = ()) -> Path:
    """The directory of state, made if need be, mode 0700, and not below a workspace root.

    A root that holds the home directory itself does not count: everything of the user lies below it.
    Raises: DataDirRefused.
    """
    roots = tuple(roots)
    path = data_dir(env, roots[0] if roots else Path.cwd())
    refuse_inside(path, roots, home=_home(env))
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise DataDirRefused(f"The data directory {path} cannot be used: {error.strerror}") from error
    return path


def refuse_inside(path: Path, roots: Iterable[Path], *, home: Path) -> None:
    """Raises: DataDirRefused when `path` lies below one of `roots`, symlinks resolved."""
    real = path.resolve()
    for root in roots:
        real_root = root.resolve()
        if real.is_relative_to(real_root) and not home.resolve().is_relative_to(real_root):
            raise DataDirRefused(f"The data directory {path} lies inside the workspace {root}; set LSP_AGENT_DATA_DIR")


def _workspace_name(root: Path) -> str:
    """`project-1a2b3c4d5e6f`: for people, and unique."""
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    shown = "".join([c for c in root.name if c.isascii() and (c.isalnum() or c in "-_.")])[:40].strip(".")
    return f"{shown or 'root'}-{digest}"


def _xdg(env: Mapping[str, str], name: str, fallback: str) -> Path:
    # the XDG specification: a relative value is invalid and ignored
    value = Path(env.get(name, ""))
    return value if value.is_absolute() else _home(env) / fallback


def _home(env: Mapping[str, str]) -> Path:
    value = Path(env.get("HOME", ""))
    return value if value.is_absolute() else Path.home()
