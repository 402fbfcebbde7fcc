"""What the scripted provider does when no script is configured: the product's main job, without a model. Pure.

It says plainly that it is not a model. With an attached file it reads it with the real `view` tool, makes one small
honest edit with the real `edit` tool when there is something safe to do, and closes with how to connect a model.
"""

import re
from collections.abc import Mapping
from typing import Any

from lsp_agent.ports.provider import Request
from lsp_agent.providers.script import Scene, ScriptTurn

INTRODUCTION = (
    "This is the built-in demonstration, not a language model: it follows a fixed script and understands nothing. "
)
CONNECT = (
    "To connect a model, set a key in the editor's environment (ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY "
    "or GEMINI_API_KEY), start a local server such as Ollama, or name a model in the configuration file "
    '(`[models] large = "provider/model"`). `lsp-agent doctor` shows what was found.'
)
_MISSPELLED: Mapping[str, str] = {
    "teh": "the",
    "recieve": "receive",
    "seperate": "separate",
    "occured": "occurred",
    "retrun": "return",
    "improt": "import",
    "pritn": "print",
    "lenght": "length",
    "fucntion": "function",
    "defualt": "default",
    "whihc": "which",
    "adress": "address",
}
_REPLACE = re.compile(
    r"""(?:replace|rename|change)\s+[`'"](?P<old>[^`'"\n]+)[`'"]\s+(?:by|to|with|into)\s+[`'"](?P<new>[^`'"\n]*)[`'"]""",
    re.IGNORECASE,
)
_NUMBERED_LINE = re.compile(r"^ *\d+[|\t→](.*)$")


def _title(asked: str) -> str:
    """The user's own words out of a request for a title, which puts a line above and an empty thought below them."""
    words = asked.partition("\n\n")[2].rpartition("<think>")[0] or asked
    return " ".join(words.split())[:50]


def demo_turn(request: Request, scene: Scene) -> ScriptTurn:
    """The demonstration's answer to a request."""
    if scene.aside:
        return _say(_title(scene.last_user) or "Demonstration")
    called = [call.name for message in _this_turn(request) for call in message.tool_calls]
    tools = {tool.name: tool.input_schema for tool in request.tools}
    if not scene.attachment_path:
        return _say(f"{INTRODUCTION}Attach a file or a selection and it will read it with the real tools.\n\n{CONNECT}")
    if "view" not in called and "view" in tools:
        looking = f"{INTRODUCTION}It will now read {scene.attachment_path} with the real tool."
        return _call(looking, "view", {"file_path": scene.attachment_path})
    if "edit" not in called and "edit" in tools and scene.tool_result:
        edit = _edit_for(scene.last_user, _plain_lines(scene.tool_result))
        if edit is not None:
            why, old, new = edit
            arguments = {"file_path": scene.attachment_path, "old_string": old, "new_string": new}
            return _call(why, "edit", arguments)
        return _say(f"{_description(scene)} It found nothing that a script can safely edit.\n\n{CONNECT}")
    return _say(f"Done: {_first_line(scene.tool_result) or 'the tools have run'}\n\n{CONNECT}")


def _this_turn(request: Request) -> list[Any]:
    """Messages since the user's last one."""
    messages: list[Any] = []
    for message in request.messages:
        messages = [] if message.role.value == "user" else [*messages, message]
    return messages


def _edit_for(prompt: str, lines: list[str]) -> tuple[str, str, str] | None:
    """(why, old text, new text) of one safe edit: what the user asked for literally, a known misspelling, or spaces."""
    text = "\n".join(lines)
    asked = _REPLACE.search(prompt)
    if asked:
        old, new = asked["old"], asked["new"]
        # `f` is not meant in `def`
        whole = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
        line = next((line for line in lines if whole.search(line)), "")
        if line and text.count(line) == 1:
            return f"Replacing `{old}`.", line, whole.sub(lambda _: new, line)
    for line in lines:
        for wrong, right in _MISSPELLED.items():
            if re.search(rf"\b{wrong}\b", line) and text.count(line) == 1:
                return f"Correcting `{wrong}` to `{right}`.", line, re.sub(rf"\b{wrong}\b", right, line)
    for line in lines:
        if line.strip() and line != line.rstrip() and text.count(line) == 1:
            return "Removing spaces at the end of a line.", line, line.rstrip()
    return None


def _plain_lines(view: str) -> list[str]:
    """The file's lines out of `view`'s numbered ones."""
    matches = [_NUMBERED_LINE.match(line) for line in view.split("\n")]
    return [match[1] for match in matches if match is not None]


def _description(scene: Scene) -> str:
    lines = _plain_lines(scene.tool_result)
    return f"The demonstration has read {len(lines)} lines of {scene.attachment_path}."


def _first_line(text: str) -> str:
    return next((line.strip()[:200] for line in text.split("\n") if line.strip()), "")


def _say(text: str) -> ScriptTurn:
    return ScriptTurn(({"text": text, "deltas": 12, "delay_s": 0.01},))


def _call(text: str, tool: str, arguments: Mapping[str, Any]) -> ScriptTurn:
    return ScriptTurn(({"text": text, "deltas": 6, "delay_s": 0.01}, {"tool": tool, "input": arguments}))
