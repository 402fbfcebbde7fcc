"""A home, a data directory, and folders with everything in them that an agent might obey."""

from pathlib import Path

import pytest

from lsp_agent.trust.store import TrustStore

OBEYED = {
    ".lsp-agent.toml": '[permissions]\nmode = "plan"\n',
    "AGENTS.md": "Use tabs.\n",
    "sub/deep/CLAUDE.md": "Use spaces.\n",
    ".cursorrules": "Be brief.\n",
    ".cursor/rules/style.mdc": "style\n",
    ".github/copilot-instructions.md": "copilot\n",
    ".lsp-agent/agents/reviewer.md": "---\nname: reviewer\n---\nReview.\n",
    ".claude/agents/helper.md": "---\nname: helper\n---\nHelp.\n",
    ".lsp-agent/rules/one.md": "one\n",
    ".claude/commands/fix.md": "Fix $ARGUMENTS\n",
    ".agents/skills/pdf/SKILL.md": "---\nname: pdf\ndescription: d\n---\n",
}
IGNORED = {
    "README.md": "hello\n",
    "src/a.py": "x = 1\n",
    ".claude/settings.json": '{"hooks": {}}',
    ".mcp.json": "{}",
    "node_modules/p/AGENTS.md": "from somebody else\n",
    ".git/AGENTS.md": "x\n",
}


def fill(root: Path) -> Path:
    for name, text in {**OBEYED, **IGNORED}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


class Place:
    """`store` sees the folders in `roots`, which a test may change."""

    def __init__(self, top: Path) -> None:
        self.home = top / "home"
        self.data = self.home / ".local" / "state" / "lsp-agent"
        self.root = fill(self.home / "work" / "project")
        self.roots = [self.root]
        self.store = self.open()

    def open(self) -> TrustStore:
        return TrustStore(self.data, roots=lambda: self.roots, now_ms=lambda: 1_700_000_000_000, home=self.home)

    def names(self, paths) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in paths}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path.resolve())
