"""Keys and other templates of the configuration: literal text, `$NAME`, `${NAME}`, `$(command)`, `keyring:S/N`.

Values are looked up when they are needed, never at start. A command runs without a shell unless it uses shell syntax,
with its input closed, so that it cannot read the protocol's stream.
"""

import asyncio
import os
import re
import shlex
import signal
from collections.abc import Mapping

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.keyring_lookup import PREFIX, from_keyring

COMMAND_TIMEOUT_S = 10.0
_TEMPLATE = re.compile(r"\$\$|\$\((?P<command>(?:[^()]|\([^()]*\))*)\)|\$\{(?P<braced>\w+)\}|\$(?P<name>[A-Za-z_]\w*)")
_SHELL_SYNTAX = re.compile(r"[|&;<>`$*?\n]")


async def resolve(template: str, env: Mapping[str, str], *, owner: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
    """The value of a template; `$$` is one dollar sign. `owner` is named in errors (`providers.local.api_key`).

    Raises: ProviderError(ProviderAuth) when a variable is not set, a command fails, or takes longer than `timeout_s`.
    The message names the variable or the command's first word, never a value.
    """
    if template.startswith(PREFIX):
        return await from_keyring(template, owner=owner, timeout_s=timeout_s)
    pieces: list[str] = []
    at = 0
    for match in _TEMPLATE.finditer(template):
        pieces.append(template[at : match.start()])
        at = match.end()
        name = match["braced"] or match["name"]
        if match["command"] is not None:
            pieces.append(await _output_of(match["command"], env, owner, timeout_s))
        elif name:
            pieces.append(_variable(name, env, owner))
        else:
            pieces.append("$")
    pieces.append(template[at:])
    return "".join(pieces).strip()


def missing_variables(template: str, env: Mapping[str, str]) -> list[str]:
    """Names the template needs and the environment lacks. Runs nothing."""
    if template.startswith(PREFIX):
        return []
    names = [match["braced"] or match["name"] for match in _TEMPLATE.finditer(template)]
    return [name for name in names if name and not env.get(name)]


def is_template(text: str) -> bool:
    """True when `text` is looked up rather than meant literally."""
    return text.startswith(PREFIX) or _TEMPLATE.search(text) is not None


def _variable(name: str, env: Mapping[str, str], owner: str) -> str:
    value = env.get(name)
    if not value:
        raise _unusable(f"{owner} needs the environment variable {name}, which is not set.")
    return value


async def _output_of(command: str, env: Mapping[str, str], owner: str, timeout_s: float) -> str:
    try:
        argv = ["/bin/sh", "-c", command] if _SHELL_SYNTAX.search(command) else shlex.split(command)
    except ValueError as error:
        raise _unusable(f"{owner}: the command cannot be read ({error}).") from error
    if not argv:
        raise _unusable(f"{owner}: the command is empty.")
    program = shlex.quote(command.split()[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(env),
            start_new_session=True,
        )
    except OSError as error:
        raise _unusable(f"{owner}: {program} cannot be run ({error.strerror}).") from error
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise _unusable(f"{owner}: {program} took longer than {timeout_s:g} s.") from error
    finally:
        if process.returncode is None:
            _kill(process.pid)
            await asyncio.shield(process.wait())
    value = output.decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise _unusable(f"{owner}: {program} ended with exit code {process.returncode}.")
    if not value:
        raise _unusable(f"{owner}: {program} printed nothing.")
    return value


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile


def _unusable(message: str) -> ProviderError:
    return ProviderError("ProviderAuth", "No key", message)
