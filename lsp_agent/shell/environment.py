"""What a command's environment holds: a short list of the user's own variables, and what keeps programs from asking.

Nothing of the server's environment passes but what is named here: no keys, no `LD_PRELOAD`, no `BASH_ENV`, no
`GIT_SSH_COMMAND` (RELIABILITY SH-09). `PATH` holds absolute directories outside the workspace only (SH-19).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

KEPT = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "TMPDIR", "TZ", "USER")
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SHELLS = (
    "/bin/bash",
    "/usr/bin/bash",
    "/usr/local/bin/bash",
    "/opt/homebrew/bin/bash",
    "/run/current-system/sw/bin/bash",
)
FORCED: Mapping[str, str] = {
    "TERM": "dumb",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MANPAGER": "cat",
    "SYSTEMD_PAGER": "cat",
    "EDITOR": "true",
    "VISUAL": "true",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "SSH_ASKPASS_REQUIRE": "force",
    "GCM_INTERACTIVE": "never",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
    "NPM_CONFIG_YES": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_GIT_SETTINGS = (
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("safe.bareRepository", "explicit"),
    ("protocol.ext.allow", "never"),
    ("log.showSignature", "false"),
)
"""What a repository's own configuration could make git run on everyday commands; the sandbox holds the rest."""


def child_environment(server: Mapping[str, str], roots: Iterable[Path], *, tmp: str | None = None) -> dict[str, str]:
    """The environment of one command. `tmp`: a directory of its own for temporary files."""
    kept = {name: value for name, value in server.items() if name in KEPT or name.startswith("LC_")}
    kept.setdefault("LANG", "C.UTF-8")
    kept.setdefault("HOME", "/")
    kept["PATH"] = ":".join(search_path(server.get("PATH", ""), roots))
    if tmp is not None:
        kept["TMPDIR"] = tmp
    kept |= FORCED
    kept["GIT_CONFIG_COUNT"] = str(len(_GIT_SETTINGS))
    for number, (name, value) in enumerate(_GIT_SETTINGS):
        kept[f"GIT_CONFIG_KEY_{number}"] = name
        kept[f"GIT_CONFIG_VALUE_{number}"] = value
    return {name: value for name, value in kept.items() if "\0" not in value}


def search_path(path: str, roots: Iterable[Path]) -> list[str]:
    """The directories of `PATH` that nobody but the user and the system can have filled."""
    inside = list(roots)
    found: list[str] = []
    for entry in (*path.split(":"), *_SYSTEM_PATH):
        if not entry.startswith("/") or ".." in entry.split("/") or entry in found:
            continue
        try:
            real = Path(entry).resolve()
        except (OSError, RuntimeError):  # a link that leads to itself
            continue
        if real.is_dir() and not any(real.is_relative_to(root) for root in inside if root != Path("/")):
            found.append(entry)
    return found


def find_shell() -> str | None:
    """The absolute path of bash, looked for in system directories only; None when there is none."""
    return next((path for path in _SHELLS if Path(path).is_file()), None)


def system_binary(name: str) -> str | None:
    """The absolute path of a program of the system, never through `PATH`."""
    return next((path for directory in _SYSTEM_PATH if Path(path := f"{directory}/{name}").is_file()), None)
