"""The plugin in Neovim in a terminal, looked at. `LSP_AGENT_PICTURES=1` makes the pictures of the documentation."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.editors.nvim import ROOT
from tests.editors.plugin import PLUGIN, git_workspace
from tests.editors.terminal import TMUX, Terminal

pytestmark = [
    pytest.mark.editor,
    pytest.mark.process,
    pytest.mark.skipif(TMUX is None, reason="tmux is not installed: apt-get install tmux"),
]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "Discount for members"}]}
SOURCE = '''"""Prices of the shop."""


def price(amount: float, member: bool) -> float:
    """What a customer pays."""
    if member:
        return amount * 0.09
    return amount


def total(amounts: list[float]) -> float:
    return sum(amounts)
'''
EDIT = {"file_path": "shop.py", "old_string": "amount * 0.09", "new_string": "amount * 0.9"}
QUESTION = {
    "type": "single_choice",
    "text": "Which discount do members get?",
    "description": "The text says ten percent, the table fifteen.",
    "choices": [
        {"id": "ten", "label": "Ten percent", "description": "as in the text"},
        {"id": "fifteen", "label": "Fifteen percent", "description": "as in the table"},
    ],
}
OTHER = {"type": "free_text", "text": "What shall the test be called?", "description": "It is added beside the others."}
SCRIPT: list[dict[str, Any]] = [
    TITLE,
    {
        "when": "discount",
        "after": "user",
        "do": [
            {"think": "A member pays 9 % of the price.\nThat must be 90 %."},
            {"text": "Members pay **nine** percent here, not ninety. I will look at the rest first."},
            {"tool": "view", "input": {"file_path": "shop.py"}},
        ],
    },
    {"when": "discount", "after": "tool", "do": [{"text": "The factor is wrong:"}, {"tool": "edit", "input": EDIT}]},
    {"when": "discount", "after": "tool", "do": [{"text": "Members pay **90 %** now. `total` is as it was."}]},
    {
        "when": "table",
        "after": "user",
        "do": [
            {"tool": "question", "input": {"questions": [QUESTION]}},
            {"tool": "question", "input": {"questions": [QUESTION, OTHER], "title": "Two more things"}},
        ],
    },
    {"when": "table", "after": "tool", "do": [{"text": "Thank you."}]},
    {"when": "explore", "after": "user", "do": [{"tool": "agent", "input": {"prompt": "child: where is price used?"}}]},
    {
        "when": "^child",
        "after": "user",
        "do": [{"text": "I search the workspace."}, {"tool": "grep", "input": {"pattern": "price"}}],
    },
    {"when": "^child", "after": "tool", "do": [{"text": "Only in `shop.py`, line 4."}, {"hold": "child"}]},
    {"when": "explore", "after": "tool", "do": [{"text": "It is used nowhere else."}]},
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "shop", {"shop.py": SOURCE})


def editor(home: Path, workspace: Path, script: Sequence[Mapping[str, Any]]) -> Terminal:
    """Neovim in a terminal, with the plugin, as a user's init.lua sets it up."""
    (home / "script.json").write_bytes(orjson.dumps({"turn": list(script)}))
    (home / "agent.toml").write_text(
        f'[models]\nlarge = "play/scripted"\n\n[providers.play]\ntype = "scripted"\nscript = "{home}/script.json"\n'
        f'options = {{ hold_dir = "{home}/holds" }}\n'
    )
    environment = {
        "LSP_AGENT_DATA_DIR": str(home / "agent"),
        "LSP_AGENT_CONFIG": str(home / "agent.toml"),
        "PYTHONPATH": str(ROOT),
    }
    pairs = ", ".join(f"{name} = '{value}'" for name, value in environment.items())
    (home / "init.lua").write_text(
        f"vim.opt.runtimepath:append('{PLUGIN}')\n"
        "vim.o.termguicolors, vim.o.background, vim.o.swapfile, vim.o.more = true, 'light', false, false\n"
        "vim.o.statusline = [[%f %m%=%{%v:lua.require'lsp_agent'.statusline()%}]]\n"
        f"require('lsp_agent').setup({{ cmd = {{ '{sys.executable}', '-m', 'lsp_agent', 'serve' }}, "
        f"cmd_env = {{ {pairs} }}, window = {{ width = 62, input_height = 5 }} }})\n"
        "vim.cmd('runtime plugin/lsp_agent.lua')\n"
    )
    return Terminal(home, workspace, "-u", str(home / "init.lua"), "shop.py", columns=124, lines=34)


def picture(terminal: Terminal, name: str) -> None:
    if os.environ.get("LSP_AGENT_PICTURES"):
        terminal.picture(ROOT / f"docs/images/neovim-{name}.png")


def test_ask_about_an_unsaved_buffer_allow_and_take_back(home: Path, workspace: Path) -> None:
    with editor(home, workspace, SCRIPT) as terminal:
        terminal.until("def price")
        terminal.keys("g", "g", "O")
        terminal.type("# not saved yet")
        terminal.keys("Escape")
        terminal.until("# not saved yet")
        terminal.type(":Agent open")
        terminal.keys("Enter")
        terminal.until("@ mention")
        terminal.type("Correct the discount @sh")
        terminal.until(lambda screen: "shop.py file" in screen or "shop.py open" in screen)
        picture(terminal, "mention")
        terminal.keys("Tab", "C-y", "Escape")
        terminal.until("discount @shop.py")
        terminal.keys("Enter")
        screen = terminal.until("Reject with a message")
        assert "amount * 0.09" in screen
        assert "requires action · 1 to answer" in screen
        picture(terminal, "permission")
        terminal.keys("C-w", "k")
        terminal.keys("a")
        terminal.until("it was.")
        screen = terminal.until("agent: idle")
        assert "# not saved yet" in screen
        terminal.keys("C-w", "h")
        picture(terminal, "changed")
        shown = terminal.screen()
        assert "return amount * 0.9" in shown
        assert "return amount * 0.09" in shown, "the old text is shown above until it is decided"
        terminal.type(":Agent undo")
        terminal.keys("Enter")
        terminal.until(lambda screen: "▎" not in screen and "amount * 0.09" in screen)
        assert (workspace / "shop.py").read_text() == SOURCE


def test_questions_and_the_form(home: Path, workspace: Path) -> None:
    with editor(home, workspace, SCRIPT) as terminal:
        terminal.until("def price")
        terminal.type(":Agent ask compare with the table")
        terminal.keys("Enter")
        screen = terminal.until(lambda screen: screen.count("### Question") == 2)
        assert "2 to answer" in screen
        picture(terminal, "questions")
        terminal.keys("C-w", "l")
        terminal.keys("1")
        terminal.until("✔ accept: Which discount")
        terminal.type("/Two more")
        terminal.keys("Enter")
        terminal.keys("Enter")
        terminal.until("The agent asks")
        terminal.keys("Tab", "Space")
        terminal.until("(•) Fifteen percent")
        picture(terminal, "form")
        terminal.keys("C-s")
        terminal.until("Thank you.")


def test_a_command_that_runs_the_plan_and_the_list_of_sessions(home: Path, workspace: Path) -> None:
    command = "for n in $(seq 20); do echo test $n passed; done; while [ ! -e go ]; do sleep 0.02; done"
    states = {"Read the shop": "completed", "Correct the discount": "in_progress", "Run the tests": "pending"}
    plan = [{"content": text, "status": state, "active_form": text} for text, state in states.items()]
    script = [
        TITLE,
        {"after": "user", "do": [{"tool": "todos", "input": {"todos": plan}}]},
        {"after": "tool", "do": [{"tool": "bash", "input": {"command": command, "description": "run the tests"}}]},
        {"after": "tool", "do": [{"text": "All pass."}]},
    ]
    with editor(home, workspace, script) as terminal:
        terminal.until("def price")
        terminal.type(":Agent ask run the tests")
        terminal.keys("Enter")
        screen = terminal.until("Reject with a message")
        assert "while [ ! -e go ]" in screen, "the command as it is"
        terminal.keys("C-w", "l", "a")
        screen = terminal.until("▏ test 20 passed")
        assert "▏ test 5 passed" not in screen
        assert "plan 1/3" in screen
        terminal.type("gg")
        terminal.until("- [~] Correct the discount")
        terminal.type("G")
        (workspace / "go").touch()
        terminal.until("All pass.")
        terminal.type(":Agent sessions")
        terminal.keys("Enter")
        screen = terminal.until("d delete")
        assert "● " in screen
        assert "Discount for members (" in screen
        picture(terminal, "sessions")


def test_a_sub_agent_folded_and_open(home: Path, workspace: Path) -> None:
    with editor(home, workspace, SCRIPT) as terminal:
        terminal.until("def price")
        terminal.type(":Agent ask explore the code")
        terminal.keys("Enter")
        terminal.until("· 1 tool")
        terminal.until(lambda _: (home / "holds/child.held").exists())
        terminal.keys("C-w", "l", "z", "R")
        terminal.until("Only in `shop.py`, line 4.")
        picture(terminal, "subagent")
        (home / "holds/child").touch()
        terminal.until("It is used nowhere else.")
