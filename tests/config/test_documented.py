import re
import tomllib
from pathlib import Path

from lsp_agent.config.check import layer
from lsp_agent.config.keys import HOOK_EVENTS, KEYS, MCP_KEYS

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def test_every_key_is_in_the_documentation():
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    named: set[str] = set()
    for row in rows:
        section = ""
        for name in re.findall(r"`([^`]+)`", row):
            section = name.partition(".")[0] or section
            named.add(f"{section}{name}" if name.startswith(".") else name)
    assert [name for name in KEYS if name not in named] == []
    assert [name for name in MCP_KEYS if name not in TEXT] == []
    assert [name for name in HOOK_EVENTS if name not in TEXT] == []


def test_the_examples_are_valid():
    for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL):
        found = layer(tomllib.loads(block), "documentation")
        assert (found.errors, found.warnings) == ((), ())
        assert found.mcp or found.hooks
