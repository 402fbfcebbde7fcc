"""The language of scripts for the scripted provider: what it says to which request. Pure but for reading the file.

A script is TOML (or JSON with the same shape): a list of turns, a turn is the answer to one model request.

    [[turn]]                         # the first turn that still may be used and whose conditions hold is taken
    when = "fix|repair"      # optional: regular expression searched in the user's last text
    after = "user"           # optional: "user" or "tool" - what the last message of the request is
    times = 1                # how often in one session; 0 = always. Default 1
    aside = false            # true: for requests without tools (titles, summaries) instead of ordinary ones
    do = [
      { think = "Let me look.", deltas = 2 },
      { text = "Reading {{attachment_path}}.", deltas = 5, delay_s = 0.01 },
      { tool = "view", input = { file_path = "{{attachment_path}}" } },
    ]

Steps of `do`, played in order:

    text / think = "…"         with deltas = n (default 1), delay_s = pause between them, repeat = n times the text
    tool = "name"              with input = {…} or input = "raw text" (perhaps broken JSON), id = "…", deltas = n
    usage = {input, output, cache_read, cache_write, reasoning, cost_usd}
    stall = seconds            silence            ping = n          n signs of life without content
    hold = "name"              silence until released: by a file of that name in the hold directory, or in-process
    error = {kind, title, message, status, retryable, retry_after_s}   the request fails here
    disconnect = true          the stream breaks off here
    finish = "end_turn"        how the answer ends; default: tool_use after a tool call, else end_turn
    refusal = "…"              the answer ends as refused

Templates in text, think and every string of input: `{{last_user}}` the user's last text, `{{attachment_path}}` the path
of the last attachment ("" when none), `{{tool_result}}` the newest tool result, `{{step}}` the number of the request in
the session, from 1.
"""

import html
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.message import AttachmentPart, FinishReason, Role
from lsp_agent.ports.provider import Request

_STEP_KEYS = frozenset(
    {"text", "think", "tool", "usage", "stall", "ping", "hold", "error", "disconnect", "finish", "refusal"}
)
_MORE_KEYS = frozenset({"deltas", "delay_s", "repeat", "input", "id"})
_PATH_IN_TEXT = re.compile(r"""<file\b[^>\n]*?\bpath=(?:'([^'\n]+)'|"([^"\n]+)")""")
_TEMPLATE = re.compile(r"\{\{\s*(last_user|attachment_path|tool_result|step)\s*\}\}")

Step = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScriptTurn:
    """One answer and when it is given."""

    steps: tuple[Step, ...]
    when: re.Pattern[str] | None = None
    after: str = ""
    times: int = 1
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What a script can see of a request."""

    last_user: str
    attachment_path: str
    tool_result: str
    after: str
    """`user` or `tool`."""
    aside: bool
    step: int = 1

    def fill(self, text: str) -> str:
        """`text` with its templates replaced."""
        return _TEMPLATE.sub(lambda match: str(getattr(self, match[1])), text)

    def fill_all(self, value: Any) -> Any:
        """The same for every string inside a JSON value."""
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, Mapping):
            return {key: self.fill_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill_all(item) for item in value]
        return value


def scene_of(request: Request, step: int) -> Scene:
    """Look at a request the way scripts do."""
    last_user = path = result = ""
    for message in request.messages:
        if message.role is Role.USER:
            # a reminder that precedes the prompt has no say in what the user wants
            last_user = message.text
            named = [part.path for part in message.parts if isinstance(part, AttachmentPart) and part.path]
            inlined = [html.unescape(match[1] or match[2]) for match in _PATH_IN_TEXT.finditer(last_user)]
            path = (named or inlined or [path])[-1] or ""
            result = ""
        elif message.role is Role.TOOL and message.tool_results:
            result = message.tool_results[-1].content
    roles = [message.role for message in request.messages]
    after = "tool" if roles and roles[-1] is Role.TOOL else "user"
    return Scene(last_user, path, result, after, aside=not request.tools, step=step)


def load_script(path: Path) -> tuple[ScriptTurn, ...]:
    """Read a script. Raises: ProviderError that names the file and what is wrong with it."""
    try:
        data = path.read_bytes()
        value = orjson.loads(data) if path.suffix == ".json" else tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise _broken(path, error.strerror or "it cannot be read") from error
    except ValueError as error:
        raise _broken(path, str(error)) from error
    return parse_script(value, str(path))


def parse_script(value: Any, name: str = "script") -> tuple[ScriptTurn, ...]:
    """Turns from their JSON shape: `{"turn": [{…}, …]}` or the list itself. Raises: ProviderError."""
    turns = value.get("turn") if isinstance(value, Mapping) else value
    if not isinstance(turns, list):
        raise _broken(name, "it has no [[turn]]")
    return tuple([_turn(item, f"{name}, turn {number}") for number, item in enumerate(turns, 1)])


def choose(turns: tuple[ScriptTurn, ...], scene: Scene, used: dict[int, int]) -> ScriptTurn | None:
    """The turn for a request; counts it in `used` (turn number → times). None when the script has nothing to say."""
    for number, turn in enumerate(turns):
        if turn.aside != scene.aside or (turn.after and turn.after != scene.after):
            continue
        if turn.times and used.get(number, 0) >= turn.times:
            continue
        if turn.when is not None and not turn.when.search(scene.last_user):
            continue
        used[number] = used.get(number, 0) + 1
        return turn
    return None


def _turn(item: Any, where: str) -> ScriptTurn:
    if not isinstance(item, Mapping) or not isinstance(item.get("do"), list):
        raise _broken(where, "it needs a list `do`")
    unknown = set(item) - {"do", "when", "after", "times", "aside"}
    if unknown:
        raise _broken(where, f"unknown key {min(unknown)!r}")
    for step in item["do"]:
        _check_step(step, where)
    try:
        when = re.compile(item["when"], re.IGNORECASE) if "when" in item else None
    except (re.error, TypeError) as error:
        raise _broken(where, f"`when` is no regular expression ({error})") from error
    after = item.get("after", "")
    if after not in {"", "user", "tool"}:
        raise _broken(where, '`after` is "user" or "tool"')
    return ScriptTurn(tuple(item["do"]), when, after, int(item.get("times", 1)), bool(item.get("aside", False)))


def _check_step(step: Any, where: str) -> None:
    kinds = _STEP_KEYS & set(step) if isinstance(step, Mapping) else set()
    if len(kinds) != 1:
        raise _broken(where, f"a step has exactly one of {', '.join(sorted(_STEP_KEYS))}: {step!r}")
    unknown = set(step) - _STEP_KEYS - _MORE_KEYS
    if unknown:
        raise _broken(where, f"unknown key {min(unknown)!r} in a step")
    if "finish" in step and step["finish"] not in set(FinishReason):
        raise _broken(where, f"unknown finish {step['finish']!r}")


def _broken(where: object, why: str) -> ProviderError:
    return ProviderError("Provider", "Script not usable", f"The script {where} cannot be used: {why}.")
