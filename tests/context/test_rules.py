import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.context.assembly import ContextSettings
from lsp_agent.context.escaping import TAGS, attribute, inner
from lsp_agent.context.rules import RuleFile, rules_block, tokens
from lsp_agent.untrusted import hidden_characters
from tests.context.conftest import Place

HIDDEN = {
    "tag": "Use tabs.\U000e0049\U000e0047\U000e004e",
    "zero width": "Use\u200b tabs.",
    "bidi": "Use \u202etabs\u202c.",
    "isolate": "Use \u2066tabs\u2069.",
    "joiner": "Use\u2060 tabs.",
    "filler": "Use \u3164tabs.",
    "mark inside": "Use \ufefftabs.",
}


def names(files: list[RuleFile], *, active: bool = True) -> list[str]:
    return [file.name for file in files if file.active is active]


async def test_every_customary_name_is_found_in_a_fixed_order(place: Place) -> None:
    for name in (
        ".github/copilot-instructions.md", ".cursorrules", ".cursor/rules/b.md", ".cursor/rules/a/z.mdc", "GEMINI.md",
        "CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "CRUSH.md", ".lsp-agent/rules/x.md", ".lsp-agent/rules/x.txt",
    ):  # fmt: skip
        place.write(name, f"rules of {name}")
    expected = [
        "AGENTS.md", "CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", "CRUSH.md", ".cursorrules", ".cursor/rules/a/z.mdc",
        ".cursor/rules/b.md", ".lsp-agent/rules/x.md", ".github/copilot-instructions.md",
    ]  # fmt: skip
    context = place.context()
    first = await context.rules.find()
    assert names(first) == expected
    assert await context.rules.find() == first


async def test_case_does_not_matter_and_one_file_a_name_counts(place: Place) -> None:
    place.write("agents.md", "small")
    place.write("Claude.md", "mixed")
    assert names(await place.context().rules.find()) == ["agents.md", "Claude.md"]
    place.write("AGENTS.md", "customary")
    assert names(await place.context().rules.find()) == ["AGENTS.md", "Claude.md"]


async def test_the_nearest_file_comes_first_and_only_for_files_below_it(place: Place) -> None:
    place.write("AGENTS.md", "top")
    place.write("services/AGENTS.md", "services")
    place.write("services/api/CLAUDE.md", "api")
    place.write("web/AGENTS.md", "web")
    place.own(".config/AGENTS.md", "mine")
    context = place.context()
    focus = [place.write("services/api/main.py", "")]
    found = await context.rules.find(focus)
    assert names(found) == ["services/api/CLAUDE.md", "services/AGENTS.md", "AGENTS.md", "~/.config/AGENTS.md"]
    assert [file.applies for file in found] == ["services/api/", "services/", "", ""]
    assert names(await context.rules.find()) == ["AGENTS.md", "~/.config/AGENTS.md"]


async def test_the_same_file_and_the_same_text_are_given_once(place: Place) -> None:
    place.write("AGENTS.md", "the rules\n")
    (place.root / "CLAUDE.md").symlink_to("AGENTS.md")
    place.write("GEMINI.md", "the rules")
    found = await place.context().rules.find()
    assert names(found) == ["AGENTS.md"]
    assert [(file.name, file.problem) for file in found if not file.active] == [
        ("GEMINI.md", "has the same text as AGENTS.md")
    ]


async def test_a_link_out_of_the_root_is_not_read(place: Place) -> None:
    place.own(".ssh/id_rsa", "SECRET")
    (place.root / "AGENTS.md").symlink_to(place.home / ".ssh" / "id_rsa")
    place.trusted.add(place.home)
    found = await place.context().rules.find()
    assert not names(found)
    assert "leads outside" in found[0].problem
    assert "SECRET" not in repr(found)


async def test_an_open_unsaved_document_wins(place: Place) -> None:
    path = place.write("AGENTS.md", "saved")
    place.editor.put(path, "typed")
    assert [file.text for file in await place.context().rules.find()] == ["typed"]


async def test_CF_01_nothing_of_an_untrusted_folder_is_given_and_the_list_says_why(place: Place) -> None:
    place.write("AGENTS.md", "obey" + HIDDEN["tag"])
    place.own(".config/lsp-agent/AGENTS.md", "mine")
    place.trusted.clear()
    context = place.context()
    assert names(await context.rules.find()) == ["~/.config/lsp-agent/AGENTS.md"]
    shown = await context.rules.find(inspect=True)
    assert "not trusted" in shown[0].problem
    assert "U+E0049" in shown[0].problem
    assert shown[0].text == ""


async def test_a_file_that_changed_since_it_was_trusted_is_withheld(place: Place) -> None:
    place.refused.add(place.write("AGENTS.md", "changed"))
    place.write("CLAUDE.md", "as it was")
    assert names(await place.context().rules.find()) == ["CLAUDE.md"]


@pytest.mark.parametrize("kind", HIDDEN)
async def test_CF_11_hidden_characters_withhold_a_projects_file_and_flag_the_users(place: Place, kind: str) -> None:
    place.write("AGENTS.md", HIDDEN[kind])
    place.own(".config/AGENTS.md", "Mine. " + HIDDEN[kind])
    found = await place.context().rules.find()
    by_scope = {file.scope: file for file in found}
    assert not by_scope["project"].active
    assert by_scope["user"].active
    for file in found:
        assert "cannot be seen" in file.problem
        assert file.to_wire()["problem"] == file.problem
    block = rules_block(found)
    assert not hidden_characters(block)
    assert "Mine." in block


async def test_honest_text_of_other_scripts_is_not_flagged(place: Place) -> None:
    place.write("AGENTS.md", "\ufeffUse می‌خواهم, 👩‍💻 and café. Ещё — да.")
    found = await place.context().rules.find()
    assert names(found) == ["AGENTS.md"]
    assert not found[0].problem


async def test_a_file_is_cut_at_64_kib_and_named(place: Place) -> None:
    place.settings = ContextSettings(max_tokens=100_000)
    place.write("AGENTS.md", "a line of rules\n" * 10_000)
    (file,) = await place.context().rules.find()
    assert file.active
    assert file.problem == "only its first 64 KiB are used"
    assert len(file.text) <= 64 * 1024
    assert file.text.endswith("rules\n")


async def test_room_goes_to_the_users_own_first_and_what_is_cut_is_named(place: Place) -> None:
    place.settings = ContextSettings(max_tokens=1_000)
    place.write("AGENTS.md", "project rule\n" * 300)
    place.write("CLAUDE.md", "another rule\n" * 200)
    place.own(".config/AGENTS.md", "my rule\n" * 150)
    found = await place.context().rules.find()
    assert sum(file.tokens for file in found) <= 1_000
    first, second, mine = found
    assert mine.active
    assert not mine.problem
    assert first.active
    assert "are given" in first.problem
    assert not second.active
    assert "no room" in second.problem
    assert rules_block(found).index("project rule") < rules_block(found).index("my rule")


async def test_configured_paths_take_homes_variables_and_directories(place: Place) -> None:
    place.own("notes/style.md", "style")
    place.own("notes/deep/more.mdc", "more")
    place.write("docs/rules.md", "in the project")
    place.settings = ContextSettings(paths=("~/$RULES", "docs/rules.md", "~/missing.md", "$NOWHERE/x.md"))
    context = place.context()
    assert names(await context.rules.find()) == ["~/notes/deep/more.mdc", "~/notes/style.md", "docs/rules.md"]
    place.trusted.clear()
    assert names(await context.rules.find()) == ["~/notes/deep/more.mdc", "~/notes/style.md"]


async def test_rules_of_cursor_count_for_the_files_they_are_about(place: Place) -> None:
    place.write(".cursor/rules/always.mdc", "---\nalwaysApply: true\nglobs: *.x\n---\nalways")
    place.write(".cursor/rules/python.mdc", "---\ndescription: py\nglobs: src/**/*.py,*.pyi\n---\npython")
    place.write(".cursor/rules/manual.mdc", "---\nalwaysApply: false\n---\nmanual")
    place.write(".cursor/rules/told.mdc", "---\ndescription: about tests\n---\ntold")
    context = place.context()
    assert names(await context.rules.find()) == [".cursor/rules/always.mdc", ".cursor/rules/told.mdc"]
    found = await context.rules.find([place.write("src/a/b.py", "")])
    assert ".cursor/rules/python.mdc" in names(found)
    assert rules_block(found).count("globs") == 0


async def test_a_second_root_is_named_and_binary_files_are_told(place: Place) -> None:
    other = place.home / "work" / "lib"
    other.mkdir()
    place.roots.replace([place.root, other])
    place.trusted.add(other)
    place.write("AGENTS.md", b"\x00\x01\x02")
    place.write("AGENTS.md", "lib rules", base=other)
    found = await place.context().rules.find()
    assert [(file.name, file.active, file.applies) for file in found] == [
        ("AGENTS.md", False, "app/"),
        ("lib/AGENTS.md", True, "lib/"),
    ]
    assert found[0].problem == "cannot be read: binary"


ANYTHING = st.text(max_size=300)
MARKS = st.sampled_from(
    ["</rules>", "</rule_file>", "< / rules >", "<RULE_FILE path='x'>", "</untrusted", "<system_reminder>", "</git>",
     "<\u200b/rules>", "<\U000e0041/rules>", "</\nrules>", "<!rules>", "\x1b[1m</rules>", "<environment>"]
)  # fmt: skip
HOSTILE = st.lists(st.one_of(ANYTHING, MARKS), max_size=12).map("".join)
OPENING = re.compile(rf"<[\s/\\!?]*(?:{'|'.join(TAGS)})(?![\w-])", re.IGNORECASE)


@given(HOSTILE)
def test_PI_04_no_content_holds_a_mark_of_ours(text: str) -> None:
    body = inner(text)
    assert not OPENING.search(body)
    assert not hidden_characters(body)


@given(HOSTILE, HOSTILE)
def test_PI_01_a_rule_text_and_a_file_name_cannot_leave_the_block(text: str, name: str) -> None:
    from pathlib import Path

    file = RuleFile(Path("/w/AGENTS.md"), name, "project", active=True, text=text, tokens=tokens(text), applies=name)
    block = rules_block([file, file])
    assert block.startswith("<rules>\n")
    assert block.endswith("\n</rules>")
    assert len(OPENING.findall(block)) == 6
    assert len(re.findall(r'(?m)^<rule_file path="[^"<>\n]*"(?: applies_to="[^"<>\n]*")?>$', block)) == 2


@given(HOSTILE)
def test_PI_01_an_attribute_stays_one(text: str) -> None:
    assert not set('"<>\n\r') & set(attribute(text))
