"""What a hook is told: one JSON object on its standard input, and a few variables. Pure.

Both vocabularies stand side by side, so that a command written for Claude Code finds what it looks for. A hook in
Claude Code's shape is told the tool's name there; `tool` and `LSP_AGENT_TOOL_NAME` are always ours.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

from lsp_agent.domain.run import Run
from lsp_agent.hooks.matching import claude_name

_CLAUDE_MODES = {
    "ask": "default",
    "plan": "plan",
    "accept-edits": "acceptEdits",
    "full-auto": "bypassPermissions",
}
_MAX_VARIABLE_BYTES = 100_000
"""Linux takes no more than 128 KiB in one variable."""
_FROM_INPUT = {"LSP_AGENT_TOOL_INPUT_COMMAND": "command", "LSP_AGENT_TOOL_INPUT_FILE_PATH": "file_path"}


def document(
    event: str, run: Run, tool: str, tool_call_id: str, payload: Mapping[str, Any], *, cwd: str, claude: bool
) -> bytes:
    """The JSON of standard input, one line."""
    fields: dict[str, Any] = {
        "event": event,
        "hook_event_name": event,
        "session_id": run.session_id,
        "run_id": run.run_id,
        "cwd": cwd,
        "transcript_path": None,
        "permission_mode": _CLAUDE_MODES.get(str(payload.get("mode", "")), "default"),
    }
    if tool:
        fields["tool"] = tool
        fields["tool_name"] = claude_name(tool) if claude else tool
    if tool_call_id:
        fields["tool_use_id"] = tool_call_id
    fields |= payload
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
    except orjson.JSONEncodeError:  # a lone surrogate, or a number too large for it
        return json.dumps(fields, default=str).encode("ascii") + b"\n"


def variables(event: str, run: Run, tool: str, payload: Mapping[str, Any], *, cwd: str) -> dict[str, str]:
    """The variables of the command. Raises: ValueError when an argument does not fit into one: a hook that looks at
    the variable must not be got round by making it too long."""
    found = {
        "LSP_AGENT": "1",
        "AGENT": "lsp-agent",
        "AI_AGENT": "lsp-agent",
        "LSP_AGENT_EVENT": event,
        "LSP_AGENT_TOOL_NAME": tool,
        "LSP_AGENT_SESSION_ID": run.session_id,
        "LSP_AGENT_CWD": cwd,
        "LSP_AGENT_PROJECT_DIR": cwd,
        "CLAUDE_PROJECT_DIR": cwd,
    }
    given = payload.get("tool_input")
    for name, key in _FROM_INPUT.items():
        value = given.get(key) if isinstance(given, Mapping) else None
        if isinstance(value, str):
            _require_fit(value, key)
            found[name] = value
    return found


def _require_fit(value: str, key: str) -> None:
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError(f"{key} is not valid text") from error
    if "\0" in value or size > _MAX_VARIABLE_BYTES:
        raise ValueError(f"{key} is too long, or holds a NUL character, and cannot be shown to the user's hooks")
