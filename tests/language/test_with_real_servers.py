"""The tools with basedpyright and ruff behind them, as started by us for an editor that has none."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from lsp_agent.domain.errors import ToolError
from lsp_agent.ports.approver import Decision
from tests.language.conftest import BIN, until

pytestmark = pytest.mark.process

FILES = {
    "shop.py": (
        "class Basket:\n"
        "    def __init__(self) -> None:\n"
        "        self.items: list[str] = []\n"
        "\n"
        "    def add(self, name: str) -> int:\n"
        "        self.items.append(name)\n"
        "        return len(self.items)\n"
    ),
    "main.py": (
        "from shop import Basket\n"
        "\n"
        "\n"
        "def fill() -> int:\n"
        '    """😀 the add of a basket"""\n'
        "    basket = Basket()\n"
        '    print("😀", basket.add("pear"))\n'
        '    return basket.add("apple")\n'
        "\n"
        "\n"
        "def other() -> int:\n"
        "    add = 1\n"
        "    return add\n"
    ),
}
ONLY_PYRIGHT = "pyrightconfig.json", '{"typeCheckingMode": "standard"}'


async def test_a_symbol_is_renamed_in_every_file_after_one_question(make_desk):
    desk = await make_desk({**FILES, ONLY_PYRIGHT[0]: ONLY_PYRIGHT[1]}, path=BIN)
    await desk.call("view", file_path="main.py")
    result = await desk.call("lsp_rename", symbol="Basket.add", new_name="put")
    assert not result.is_error, result.content
    asks = [ask for ask in desk.world.approver.asks if ask.action == "write"]
    assert len(asks) == 1
    assert len(asks[0].subject["changes"]) == 2
    assert asks[0].pattern is None
    main, shop = (desk.world.root / "main.py").read_text(), (desk.world.root / "shop.py").read_text()
    assert "def put(self" in shop
    assert 'print("😀", basket.put("pear"))' in main
    assert "add = 1" in main
    assert "add of a basket" in main
    assert [Path(change["uri"]).name for change in result.changes] == ["shop.py", "main.py"] or len(result.changes) == 2
    assert "basedpyright" in result.content
    # the model had seen main.py, so it may go on editing it; shop.py it has not seen
    await desk.call("edit", file_path="main.py", old_string="add = 1", new_string="add = 2")
    with pytest.raises(ToolError, match="must view"):
        await desk.call("edit", file_path="shop.py", old_string="name: str", new_string="name: bytes")


async def test_a_rename_that_is_refused_changes_nothing_and_one_that_fails_midway_is_taken_back(make_desk):
    desk = await make_desk(FILES, path=BIN)
    desk.world.approver.decide = lambda ask: Decision(ask.action != "write", "not that name", asked=True)
    result = await desk.call("lsp_rename", symbol="Basket.add", new_name="put")
    assert result.content == "not that name"
    assert (desk.world.root / "shop.py").read_text() == FILES["shop.py"]
    desk.world.approver.decide = lambda ask: Decision(True)
    # the second file is changed by somebody while the question is open
    desk.world.approver.meanwhile = lambda ask: (
        (desk.world.root / "main.py").write_text("# mine\n") if ask.action == "write" else None
    )
    result = await desk.call("lsp_rename", symbol="Basket.add", new_name="put")
    assert result.is_error
    assert "Nothing was changed in any file" in result.content
    assert (desk.world.root / "shop.py").read_text() == FILES["shop.py"]
    assert (desk.world.root / "main.py").read_text() == "# mine\n"


async def test_an_edit_that_breaks_a_type_is_told_and_its_repair_too(make_desk):
    desk = await make_desk({**FILES, ONLY_PYRIGHT[0]: ONLY_PYRIGHT[1]}, path=BIN)
    await desk.call("view", file_path="shop.py")
    broken = await desk.call("edit", file_path="shop.py", old_string="len(self.items)", new_string="self.items")
    assert "1 new" in broken.content
    assert "new error shop.py:7:16" in broken.content
    assert "reportReturnType" in broken.content
    assert broken.metadata["diagnostics"] == {"new": 1, "fixed": 0, "still": 0}
    moved = await desk.call("edit", file_path="shop.py", old_string="class Basket", new_string="# a\n# b\nclass Basket")
    assert "1 still there" in moved.content
    assert "new error" not in moved.content
    repaired = await desk.call(
        "edit", file_path="shop.py", old_string="return self.items", new_string="return len(self.items)"
    )
    assert "1 fixed" in repaired.content
    assert "fixed error shop.py" in repaired.content


async def test_what_breaks_in_a_file_that_the_server_has_open_is_told_as_well(make_desk):
    desk = await make_desk({**FILES, ONLY_PYRIGHT[0]: ONLY_PYRIGHT[1]}, path=BIN)
    assert "none" in (await desk.call("lsp_diagnostics", file_path="main.py")).content
    await desk.call("view", file_path="shop.py")
    result = await desk.call("edit", file_path="shop.py", old_string="def add(", new_string="def put(")
    late = desk.watch.pending_notes("s1")
    for _ in range(100):
        if "main.py" in result.content + late:
            break
        await asyncio.sleep(0.1)
        late += desk.watch.pending_notes("s1")
    assert "main.py:7" in result.content + late
    if late:
        assert any(update.get("code") == "late_diagnostics" for update in desk.world.events.updates)


async def test_definition_references_symbols_and_calls(make_desk):
    desk = await make_desk(FILES, path=BIN)
    definition = await desk.call("lsp_definition", symbol="basket.add", path="main.py")
    assert "shop.py:5:9  def add(self, name: str) -> int:" in definition.content
    assert "basedpyright" in definition.content
    references = await desk.call("lsp_references", symbol="Basket.add", path="shop.py")
    assert references.metadata["count"] == 3
    assert "main.py:7:23" in references.content  # a column in characters, behind the emoji
    symbols = await desk.call("lsp_symbols", file_path="shop.py")
    assert "class Basket (lines 1-7)" in symbols.content
    assert "  method add (lines 5-7)" in symbols.content
    assert "fill" in (await desk.call("lsp_symbols", query="fill")).content
    calls = await desk.call("lsp_call_hierarchy", symbol="Basket.add", path="shop.py")
    assert "fill (main.py:4, at line 7, 8)" in calls.content
    outgoing = await desk.call("lsp_call_hierarchy", symbol="fill", direction="outgoing")
    assert "add (shop.py:5" in outgoing.content


async def test_unsaved_text_is_what_the_server_sees(make_desk):
    desk = await make_desk(FILES, path=BIN)
    desk.editor.show(desk.world.root / "shop.py", "# new line\n" + FILES["shop.py"])
    definition = await desk.call("lsp_definition", symbol="basket.add", path="main.py")
    assert "shop.py:6:9" in definition.content


async def test_code_actions_of_ruff_are_listed_and_applied(make_desk):
    desk = await make_desk({"a.py": "import os\nimport sys\n\nprint(sys.path)\n"}, path=BIN)
    checked = await desk.call("lsp_diagnostics", file_path="a.py")
    assert "F401" in checked.content
    listed = await desk.call("lsp_code_action", file_path="a.py", line=1)
    assert "Remove unused import" in listed.content
    result = await desk.call("lsp_code_action", file_path="a.py", line=1, title="Remove unused import: `os`")
    assert not result.is_error, result.content
    assert (desk.world.root / "a.py").read_text() == "import sys\n\nprint(sys.path)\n"
    assert "fixed" in result.content


async def test_a_symbol_is_replaced_by_name_with_its_decorator(make_desk):
    text = (
        "import functools\n\n\n@functools.cache\ndef f() -> int:\n    return 1\n\n\ndef g() -> int:\n    return f()\n"
    )
    desk = await make_desk({"a.py": text}, path=BIN)
    await desk.call("view", file_path="a.py")
    result = await desk.call(
        "lsp_replace_symbol", symbol="f", file_path="a.py", replacement="def f() -> str:\n    return ''"
    )
    assert not result.is_error, result.content
    after = (desk.world.root / "a.py").read_text()
    assert after == "import functools\n\n\ndef f() -> str:\n    return ''\n\n\ndef g() -> int:\n    return f()\n"
    assert "new error a.py:9" in result.content


async def test_nothing_is_started_where_the_user_does_not_trust(make_desk):
    desk = await make_desk(FILES, path=BIN, trusted=lambda root: False)
    result = await desk.call("lsp_definition", symbol="Basket.add", path="shop.py")
    assert "(syntax)" in result.content
    assert desk.own.all_running() == []
    await desk.call("view", file_path="shop.py")
    edited = await desk.call("edit", file_path="shop.py", old_string="len(self.items)", new_string="self.items")
    assert "iagnostics" not in edited.content


async def test_a_program_in_the_workspace_is_never_a_language_server(make_desk):
    desk = await make_desk({**FILES, "bin/pylsp": "#!/bin/sh\ntouch started\n", "bin/gopls": "#!/bin/sh\n"})
    for name in ("pylsp", "gopls"):
        (desk.world.root / "bin" / name).chmod(0o755)
    desk.own._environ = {**os.environ, "PATH": str(desk.world.root / "bin")}
    assert await desk.own.clients(desk.world.root / "main.py", 1) == []
    outside = desk.world.root.parent / "linked"
    outside.mkdir()
    (outside / "pylsp").symlink_to(desk.world.root / "bin" / "pylsp")
    desk.own._environ = {**os.environ, "PATH": str(outside)}
    await desk.own.restart(None)
    assert await desk.own.clients(desk.world.root / "main.py", 1) == []
    assert not (desk.world.root / "started").exists()


async def test_a_missing_program_is_remembered_and_a_killed_server_is_not_waited_for(make_desk):
    desk = await make_desk(FILES, path=BIN)
    clients = await desk.own.clients(desk.world.root / "main.py", 20)
    assert {client.name for client in clients} == {"basedpyright", "ruff"}
    me = psutil.Process()
    children = [one for one in me.children(recursive=True) if "langserver" in " ".join(one.cmdline())]
    assert children
    for one in children:
        one.kill()
    ended = next(client for client in clients if client.name == "basedpyright")
    await until(lambda: not ended.alive)
    result = await desk.call("lsp_definition", symbol="Basket.add", path="shop.py")
    assert "(syntax)" in result.content
    assert any("ended unexpectedly" in why for why in desk.own.problems())
    restarted = await desk.call("lsp_restart")
    assert "ruff" in restarted.content
    result = await desk.call("lsp_definition", symbol="basket.add", path="main.py")
    assert "basedpyright" in result.content


async def test_closing_leaves_no_process_and_no_file_behind(make_desk, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    desk = await make_desk(FILES, path=BIN)
    await desk.own.clients(desk.world.root / "main.py", 20)
    assert list(tmp_path.glob("lsp-agent-*"))
    started = psutil.Process().children(recursive=True)
    await desk.close()
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []
    await until(lambda: not list(tmp_path.glob("lsp-agent-*")))
