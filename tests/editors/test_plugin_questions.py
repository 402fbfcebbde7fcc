"""Questions of the model in the Neovim plugin: by digit, in the form, by vim.ui; several at once; taken away; kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.editors.plugin import PluginNvim, git_workspace

pytestmark = [pytest.mark.editor, pytest.mark.process]

TITLE: dict[str, Any] = {"aside": True, "times": 0, "do": [{"text": "A title"}]}
DATABASE = {
    "type": "single_choice",
    "text": "Which database?",
    "description": "The schema differs.",
    "choices": [{"id": "pg", "label": "Postgres", "description": "a server"}, {"id": "lite", "label": "SQLite"}],
}
TESTS = {"type": "yes_no", "text": "With tests?", "description": "They take time."}
PARTS = {
    "type": "multi_choice",
    "text": "Which parts?",
    "description": "Each is a file.",
    "choices": [{"id": "api", "label": "The API"}, {"id": "cli", "label": "The CLI"}],
}
NAME = {"type": "free_text", "text": "What is it called?", "description": "The name is shown."}


def asking(*forms: list[Mapping[str, Any]], last: str = "You said: {{tool_result}}") -> list[dict[str, Any]]:
    """A script whose first answer asks every form at once."""
    calls = [{"tool": "question", "input": {"questions": form, "title": f"Form {n}"}} for n, form in enumerate(forms)]
    return [
        TITLE,
        {"after": "user", "do": [{"text": "Let me ask."}, *calls]},
        {"after": "tool", "do": [{"text": last}]},
    ]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return git_workspace(tmp_path / "w", {"a.py": "x = 1\n"})


@pytest.fixture
def editor(tmp_path: Path, workspace: Path) -> Iterator[Any]:
    opened: list[PluginNvim] = []

    def start(script: list[dict[str, Any]], **settings: Any) -> PluginNvim:
        nvim = PluginNvim(tmp_path / "home", workspace, script, **settings)
        nvim.__enter__()
        opened.append(nvim)
        nvim.open(workspace / "a.py")
        nvim.api.command("Agent ask begin")
        return nvim

    yield start
    for nvim in opened:
        nvim.__exit__()


def waiting(nvim: PluginNvim) -> list[Mapping[str, Any]]:
    return list(nvim.view().get("questions", []))


def result(nvim: PluginNvim) -> str:
    """What the model was told."""
    return str(nvim.until(nvim.completes)[0]["text"])


def test_a_digit_in_the_chat_answers_and_is_a_count_again_afterwards(editor: Any) -> None:
    nvim = editor(asking([DATABASE]))
    nvim.until(lambda: waiting(nvim) and "### Question: Which database?" in nvim.chat())
    nvim.until(lambda: "- `1` Postgres — a server\n- `2` SQLite\n- `<CR>` Answer in a form" in nvim.chat())
    assert "1 to answer" in nvim.lua("return require('lsp_agent').statusline()")
    nvim.focus_chat()
    nvim.api.input("2")
    assert "lite" in result(nvim)
    nvim.until(lambda: "✔ accept: Which database?" in nvim.chat())
    assert waiting(nvim) == []
    assert nvim.api.funcs.maparg("2", "n") == ""


def test_several_questions_are_answered_in_one_form(editor: Any) -> None:
    nvim = editor(asking([DATABASE, TESTS, PARTS, NAME]))
    nvim.until(lambda: waiting(nvim) and "### Question" in nvim.chat())
    nvim.until(lambda: "- Which parts? (The API / The CLI)" in nvim.chat())
    nvim.focus_chat()
    nvim.api.input("<CR>")
    nvim.until(lambda: "Send the answer" in nvim.text())
    nvim.lua("vim.ui.input = function(o, answer) Prompted = o.prompt; answer(Words or 'Grünkohl 😀') end")
    for keys in ("/SQLite<CR><CR>", "/No$<CR><CR>", "/The API<CR><Space>", "/The CLI<CR><Space>", "/write:<CR><CR>"):
        nvim.api.input(keys)
    form = nvim.until(lambda: "Grünkohl" in nvim.text() and nvim.text())
    assert "( ) Postgres — a server\n   (•) SQLite" in form
    assert "( ) Yes\n   (•) No" in form
    assert "[x] The API\n   [x] The CLI" in form
    # closed and opened again, it is as it was
    nvim.api.input("q")
    nvim.until(lambda: "Send the answer" not in nvim.text())
    nvim.api.input("<CR>")
    assert nvim.until(lambda: "Send the answer" in nvim.text() and nvim.text()) == form
    nvim.api.input("<C-s>")
    said = result(nvim)
    for part in ('["lite"]', "answered: no", '["api", "cli"]', "Grünkohl 😀"):
        assert part in said
    nvim.until(lambda: "✔ accept: Form 0" in nvim.chat())


def test_two_forms_wait_at_once_and_the_one_at_the_cursor_is_meant(editor: Any) -> None:
    nvim = editor(asking([DATABASE], [TESTS]))
    nvim.until(lambda: len(waiting(nvim)) == 2 and nvim.chat().count("### Question") == 2)
    assert "2 to answer" in nvim.lua("return require('lsp_agent').statusline()")
    nvim.focus_chat()
    nvim.api.input("gg/Question: With<CR>")
    nvim.until(lambda: "Question: With tests?" in nvim.api.current.line)
    nvim.api.input("1")
    nvim.until(lambda: "✔ accept: With tests?" in nvim.chat())
    assert [record["message"] for record in waiting(nvim)] == ["Which database?"]
    nvim.api.input("d")
    nvim.until(nvim.completes)
    nvim.until(lambda: "⊘ decline: Which database?" in nvim.chat())


def test_by_vim_ui_when_the_user_prefers_that(editor: Any) -> None:
    nvim = editor(
        [TITLE, {"when": "begin", "do": [{"text": "Hm."}]}, *asking([DATABASE, PARTS, NAME])[1:]], question="select"
    )
    nvim.until(nvim.completes)
    nvim.lua(
        "Shown, Picks = {}, { 'In your own words …', 'The CLI', 'Done' } "
        "vim.ui.select = function(all, o, pick) table.insert(Shown, vim.tbl_map(o.format_item, all)) "
        "local want = table.remove(Picks, 1) "
        "for _, item in ipairs(all) do if item.label == want then return pick(item) end end end "
        "vim.ui.input = function(o, answer) answer(o.prompt:match('called') and 'Foo' or 'DuckDB') end"
    )
    nvim.api.command("Agent ask now")
    nvim.until(lambda: len(nvim.completes()) == 2)
    said = str(nvim.completes()[1]["text"])
    assert all(part in said for part in ("DuckDB", '["cli"]', "Foo"))
    assert nvim.lua("return Shown[3]")[1] == "✔ The CLI"


def test_a_cancelled_run_takes_its_form_away(editor: Any) -> None:
    nvim = editor(asking([DATABASE]))
    nvim.until(lambda: waiting(nvim) and "### Question" in nvim.chat())
    nvim.focus_chat()
    nvim.api.input("<CR>")
    nvim.until(lambda: "Send the answer" in nvim.text())
    nvim.lua("require('lsp_agent.chat').here():stop()")
    nvim.until(nvim.completes)
    nvim.until(lambda: "Send the answer" not in nvim.text())
    nvim.until(lambda: "⊘ cancelled: Which database?" in nvim.chat())


def test_a_question_is_still_there_after_attaching_again(editor: Any) -> None:
    nvim = editor(asking([DATABASE]))
    nvim.until(lambda: waiting(nvim) and "### Question" in nvim.chat())
    before = waiting(nvim)
    nvim.lua(
        "local c = require('lsp_agent.chat').here(); local id = c.current; c.sessions[id] = nil; Again = nil; "
        "c:attach(id, function() Again = true end)"
    )
    nvim.until(lambda: nvim.lua("return Again"))
    assert [record["requestId"] for record in waiting(nvim)] == [record["requestId"] for record in before]
    nvim.until(lambda: "- `1` Postgres" in nvim.chat())
    nvim.focus_chat()
    nvim.api.input("1")
    assert "pg" in result(nvim)


def test_a_schema_of_a_users_server_is_a_form_too(tmp_path: Path, workspace: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "title": "How old?"},
            "colour": {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]},
            "ready": {"type": "boolean"},
        },
    }
    with PluginNvim(tmp_path / "home", workspace, [TITLE]) as nvim:
        content = nvim.lua(
            "local f = require('lsp_agent.form'); local form = f.new({ message = 'm', schema = ... }); "
            "f.write(form, 1, '42'); f.toggle(form, 2, 'g'); f.toggle(form, 3, 'no'); "
            "return { f.content(form), (f.lines(form)) }",
            schema,
        )
        assert content[0] == {"age": 42, "colour": "g", "ready": False}
        assert "   (•) Green" in content[1]
        assert "1. How old?" in content[1]
        empty = "local f, s = require('lsp_agent.form'), ... return vim.json.encode(f.content(f.new({ schema = s })))"
        assert nvim.lua(empty, schema) == "{}"
