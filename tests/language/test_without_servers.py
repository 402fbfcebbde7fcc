"""What answers when there is no language server: the syntax of the files, and their text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.domain.errors import ToolError
from lsp_agent.domain.text import Position, Range
from lsp_agent.language.blocks import placed
from lsp_agent.language.columns import column_from, column_in, recode
from lsp_agent.language.shapes import Symbol, edit_plan, symbols
from lsp_agent.language.syntax import Grammars, text_symbols
from lsp_agent.language.watch import Change, _moved, delta_text
from lsp_agent.language.words import components, named, spots
from lsp_agent.ports.approver import Decision
from lsp_agent.workspace.diagnostics import Problem, compare

PYTHON = {
    "a.py": (
        "class A:\n    def run(self):\n        return 1\n\n\nclass B:\n    def run(self):\n        return A().run()\n"
    ),
    "b.py": "from a import A\n\n\ndef use():\n    return A().run()\n",
    "notes.md": "run is a method\n",
}


async def test_definitions_symbols_references_and_callers_by_syntax_and_text(make_desk):
    desk = await make_desk(PYTHON)
    definition = await desk.call("lsp_definition", symbol="B.run")
    assert definition.content == "B.run is defined in (syntax):\na.py:7:9  def run(self):"
    assert (await desk.call("lsp_definition", symbol="use")).content.endswith("b.py:4:5  def use():")
    outline = await desk.call("lsp_symbols", file_path="a.py")
    assert outline.content.splitlines()[:3] == ["a.py (syntax):", "class A (lines 1-3)", "  method run (lines 2-3)"]
    assert "function use (b.py:4-5)" in (await desk.call("lsp_symbols", query="us")).content
    references = await desk.call("lsp_references", symbol="A", path="a.py")
    assert "(text search)" in references.content
    assert references.metadata["count"] == 4
    calls = await desk.call("lsp_call_hierarchy", symbol="run", path="b.py")
    assert "use in b.py, line 5" in calls.content
    assert "B.run in a.py, line 8" in calls.content


async def test_what_cannot_be_done_is_said(make_desk):
    desk = await make_desk(PYTHON)
    with pytest.raises(ToolError, match="No language server could rename"):
        await desk.call("lsp_rename", symbol="A", new_name="C", path="a.py")
    with pytest.raises(ToolError, match="does not occur in any file"):
        await desk.call("lsp_definition", symbol="Nowhere")
    with pytest.raises(ToolError, match=r"does not occur in a\.py"):
        await desk.call("lsp_definition", symbol="use", path="a.py")
    with pytest.raises(ToolError, match="one name"):
        await desk.call("lsp_definition", symbol="a name")
    with pytest.raises(ToolError, match="No language server knows what"):
        await desk.call("lsp_call_hierarchy", symbol="use", direction="outgoing")
    assert "No language server reports on a.py" in (await desk.call("lsp_diagnostics", file_path="a.py")).content
    assert "No such language server" in (await desk.call("lsp_restart", name="x")).content
    assert "no code actions" in (await desk.call("lsp_code_action", file_path="a.py")).content


async def test_reading_a_file_is_asked_for_and_a_secret_is_never_searched(make_desk):
    desk = await make_desk({**PYTHON, "secret.py": "def run_secret(): ...\n"})
    desk.service._withhold = lambda path: path.name == "secret.py"
    with pytest.raises(ToolError):
        await desk.call("lsp_definition", symbol="run_secret")
    desk.world.approver.decide = lambda ask: Decision(False, "no")
    for tool, arguments in (
        ("lsp_symbols", {"file_path": "a.py"}),
        ("lsp_definition", {"symbol": "A", "path": "a.py"}),
        ("lsp_diagnostics", {"file_path": "a.py"}),
        ("lsp_replace_symbol", {"symbol": "A", "file_path": "a.py", "replacement": "x"}),
        ("lsp_code_action", {"file_path": "a.py"}),
    ):
        assert (await desk.call(tool, **arguments)).content == "no"


async def test_a_symbol_is_replaced_deleted_and_given_neighbours_only_after_a_view(make_desk):
    desk = await make_desk(PYTHON)
    with pytest.raises(ToolError, match="must view"):
        await desk.call("lsp_replace_symbol", symbol="B.run", file_path="a.py", action="delete")
    await desk.call("view", file_path="a.py")
    await desk.call("lsp_replace_symbol", symbol="A.run", file_path="a.py", replacement="def run(self):\n    return 2")
    await desk.call(
        "lsp_replace_symbol", symbol="A.run", file_path="a.py", replacement="def go(self): ...", action="add_after"
    )
    await desk.call("lsp_replace_symbol", symbol="B", file_path="a.py", action="delete")
    assert (desk.world.root / "a.py").read_text() == (
        "class A:\n    def run(self):\n        return 2\n\n    def go(self): ...\n\n\n"
    )
    with pytest.raises(ToolError, match=r"not defined in a\.py\. It has: A, A.run, A.go"):
        await desk.call("lsp_replace_symbol", symbol="B", file_path="a.py", action="delete")
    with pytest.raises(ToolError, match="empty"):
        await desk.call("lsp_replace_symbol", symbol="A", file_path="a.py", replacement=" ")


async def test_bash_is_outlined_by_its_grammar(make_desk):
    desk = await make_desk({"x.sh": "greet() {\n  echo hi\n}\ngreet\n"})
    assert "function greet (lines 1-3)" in (await desk.call("lsp_symbols", file_path="x.sh")).content
    assert "x.sh:1:1" in (await desk.call("lsp_definition", symbol="greet")).content


def test_text_that_cannot_be_parsed_has_no_symbols(tmp_path):
    assert text_symbols(tmp_path / "a.py", "def (", Grammars()) is None
    assert text_symbols(tmp_path / "a.unknown", "x", Grammars()) is None
    assert text_symbols(tmp_path / "a.py", "(" * 100_000, Grammars()) is None
    (found,) = text_symbols(tmp_path / "a.py", "x = '😀'; y: int\n", Grammars())[:1]
    assert found.name_range == Range(Position(0, 0), Position(0, 1))


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("a.b.C", ["a", "b", "C"]),
        ("A::m", ["A", "m"]),
        ("ns\\F", ["ns", "F"]),
        ("f()", ["f"]),
        ("p->x", ["p", "x"]),
        ("Class#method", ["Class", "method"]),
        ("a b", []),
        ("", []),
        ("x" * 400, []),
    ],
)
def test_the_last_component_of_a_name_is_what_is_looked_for(symbol, parts):
    assert components(symbol) == parts


def test_the_likeliest_place_of_a_name_comes_first():
    text = "# add things\nresult = add(1)\nshop.add(2)\ndef add(x): ...\nadded = 1\n"
    assert [spot.at for spot in spots(text, "add")] == [
        Position(3, 4),
        Position(1, 9),
        Position(2, 5),
        Position(0, 2),
    ]
    assert spots(text, "shop.add")[0].at == Position(2, 5)


def test_symbols_of_servers_come_in_two_shapes_and_malformed_ones_are_left_out():
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 4, "character": 0}}
    nested = [
        {"name": "A", "kind": 5, "range": span, "children": [{"name": "run()", "kind": 6, "range": span}]},
        {"name": "broken", "kind": 5},
        {"kind": 5, "range": span},
        None,
    ]
    found = symbols(nested, "file:///a")
    assert [(one.path, one.kind, one.depth) for one in found] == [("A", "class", 0), ("A.run()", "method", 1)]
    assert [one.name for one in named(found, "A.run")] == ["run()"]
    flat = [{"name": "f", "kind": 99, "containerName": "m", "location": {"uri": "file:///b", "range": span}}]
    (one,) = symbols(flat, "")
    assert (one.path, one.kind, one.uri) == ("m.f", "symbol", "file:///b")


def test_a_workspace_edit_that_does_more_than_edit_text_says_so():
    plan = edit_plan({"documentChanges": [{"kind": "rename", "oldUri": "a", "newUri": "b"}]})
    assert plan is not None
    assert plan.unsupported == ("rename a file",)
    assert edit_plan(None) is None
    assert edit_plan({"changes": {"file:///a": "x"}}).files == ()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("replace", "x = 1\r\nNEW\r\nz = 3"),
        ("delete", "x = 1\r\nz = 3"),
        ("add_before", "x = 1\r\nNEW\r\ny = 2\r\nz = 3"),
        ("add_after", "x = 1\r\ny = 2\r\nNEW\r\nz = 3"),
    ],
)
def test_line_ends_of_the_file_are_kept_around_a_symbol(action, expected):
    where = Range(Position(1, 0), Position(1, 5))
    symbol = Symbol("y", "variable", where, where)
    assert placed("x = 1\r\ny = 2\r\nz = 3", symbol, "NEW\n", action, python=True) == expected


def test_a_symbol_that_shares_its_line_is_cut_at_its_ends():
    where = Range(Position(0, 7), Position(0, 12))
    symbol = Symbol("b", "variable", where, where)
    assert placed("a = 1; b = 2; c = 3\n", symbol, "b = 5", "replace", python=True) == "a = 1; b = 5; c = 3\n"
    assert placed("a = 1; b = 2; c = 3\n", symbol, "", "delete", python=True) == "a = 1; ; c = 3\n"


TEXTS = st.text(st.sampled_from("aé😀\u0301 "), max_size=12)


@given(TEXTS, st.integers(0, 12), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_a_column_survives_the_way_to_an_encoding_and_back(line, column, encoding):
    inside = min(column, len(line))
    assert column_from(line, column_in(line, column, encoding), encoding) == inside


async def test_positions_are_translated_by_the_text_they_lie_in_and_data_of_servers_stays():
    texts = {"file:///a": "😀x\n", "file:///b": "éx\n"}

    async def text(uri):
        return texts.get(uri)

    at = {"line": 0, "character": 2}
    value = [
        {"from": {"uri": "file:///b", "selectionRange": {"start": at, "end": at}}, "fromRanges": [{"start": at}]},
        {"targetUri": "file:///b", "targetRange": {"start": at}, "originSelectionRange": {"start": at}},
        {"uri": "file:///gone", "range": {"start": at}, "data": {"line": 0, "character": 2}},
    ]
    first, link, gone = await recode(value, "utf-16", "utf-32", "file:///a", text)
    assert first["from"]["selectionRange"]["start"]["character"] == 2
    assert first["fromRanges"][0]["start"]["character"] == 2
    assert link["originSelectionRange"]["start"]["character"] == 1
    assert link["targetRange"]["start"]["character"] == 2
    assert gone["range"]["start"]["character"] == 2
    assert gone["data"] == {"line": 0, "character": 2}


def problem(line: int, text: str = "bad", severity: int = 1, uri: str = "file:///a") -> Problem:
    return Problem(uri, line, 0, severity, text)


def test_a_diagnostic_whose_line_moved_is_still_there():
    change = Change(Path("/a"), "file:///a", [(2, 2, 2, 5)])
    delta = compare(
        [problem(0), problem(4)], [problem(0), problem(7), problem(3)], lambda uri, line: _moved([change], uri, line)
    )
    assert delta.new == [problem(3)]
    assert delta.fixed == []
    assert delta.still == [problem(0), problem(7)]


def test_the_difference_is_bounded_and_new_errors_come_first():
    before = [problem(0, "old")]
    after = [problem(line, f"w{line}", 2) for line in range(20)] + [problem(50, "e")]
    text = delta_text(compare(before, after), {"file:///a"}, set(), lambda uri: "a", arrived=True)
    lines = text.splitlines()
    assert lines[0] == "21 new, 1 fixed."
    assert lines[1] == "new error a:51:1 e"
    assert lines[-1] == "… and 12 more"
    assert len(lines) == 12
    assert delta_text(compare([], []), set(), set(), str, arrived=True) == "no diagnostics."


def test_what_was_not_looked_at_before_is_not_called_new():
    text = delta_text(compare([], [problem(0)]), {"file:///a"}, {"file:///a"}, lambda uri: "a", arrived=True)
    assert text == "1 not seen before.\nerror a:1:1 bad"
