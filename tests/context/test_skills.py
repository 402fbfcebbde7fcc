from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.context.assembly import ContextSettings
from lsp_agent.context.skills import Skill, read_skill, skills_block
from lsp_agent.policy.protected import is_secret
from tests.context.conftest import Place
from tests.context.test_rules import HIDDEN, HOSTILE, OPENING

GOOD = "---\nname: {name}\ndescription: Does {name}.\n---\nSteps of {name}.\n"


def skill(name: str) -> str:
    return GOOD.format(name=name)


async def test_skills_are_found_in_every_customary_place(place: Place) -> None:
    user = [".config/lsp-agent/skills", ".config/agents/skills", ".agents/skills", ".claude/skills"]
    project = [".lsp-agent/skills", ".agents/skills", ".crush/skills", ".claude/skills", ".cursor/skills"]
    for number, directory in enumerate(user):
        place.own(f"{directory}/u{number}/SKILL.md", skill(f"u{number}"))
    for number, directory in enumerate(project):
        place.write(f"{directory}/p{number}/SKILL.md", skill(f"p{number}"))
    context = place.context()
    found = await context.skills.find()
    assert [each.name for each in found if each.active] == [*(f"p{n}" for n in range(5)), *(f"u{n}" for n in range(4))]
    place.trusted.clear()
    assert [each.name for each in await context.skills.find()] == [f"u{n}" for n in range(4)]


async def test_the_users_skill_wins_over_a_projects_of_the_same_name(place: Place) -> None:
    mine = place.own(".agents/skills/deploy/SKILL.md", skill("deploy"))
    place.write(".agents/skills/deploy/SKILL.md", skill("deploy"))
    found = await place.context().skills.find()
    assert [(each.scope, each.active) for each in found] == [("user", True), ("project", False)]
    assert found[1].problem == f"is hidden by {mine}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("just text", "no front matter"),
        ("---\nname: [\n---\n", "not YAML"),
        ("---\ndescription: x\n---\n", "no name"),
        ("---\nname: other\ndescription: x\n---\n", "not that of its folder"),
        ("---\nname: Good-One\ndescription: x\n---\n", "lower-case"),
        ("---\nname: good--one\ndescription: x\n---\n", "lower-case"),
        ("---\nname: -good\ndescription: x\n---\n", "lower-case"),
        (f"---\nname: {'a' * 65}\ndescription: x\n---\n", "longer than 64"),
        ("---\nname: good-one\n---\n", "no description"),
        (f"---\nname: good-one\ndescription: {'x' * 1025}\n---\n", "description is longer than 1024"),
        (f"---\nname: good-one\ndescription: x\ncompatibility: {'x' * 501}\n---\n", "compatibility is longer"),
        ("---\nname: good-one\ndescription: x\nmetadata: no\n---\n", "metadata"),
        ("---\nname: good-one\ndescription: x\nuser-invocable: maybe\n---\n", "neither true nor false"),
    ],
)
def test_a_skill_that_breaks_a_rule_is_kept_with_the_reason(text: str, problem: str) -> None:
    found = read_skill(Path("/skills/good-one/SKILL.md"), text, "user")
    assert not found.active
    assert problem in found.problem
    assert found.to_wire()["problem"] == found.problem
    assert skills_block([found]) == ""


@pytest.mark.parametrize("head", ["---", "\ufeff---", "\n\n---  ", "---\t"])
def test_marks_and_blank_lines_around_the_head_are_tolerated(head: str) -> None:
    text = f"{head}\nname: good-one\ndescription: >\n  two\n  lines\nallowed-tools: view grep\n--- \nBody"
    found = read_skill(Path("/skills/good-one/SKILL.md"), text, "user")
    assert (found.active, found.problem, found.description, found.body) == (True, "", "two lines", "Body")


@pytest.mark.parametrize("kind", HIDDEN)
async def test_CF_11_hidden_characters_in_a_projects_skill_withhold_it(place: Place, kind: str) -> None:
    place.write(".claude/skills/sly/SKILL.md", skill("sly") + HIDDEN[kind])
    place.own(".claude/skills/mine/SKILL.md", skill("mine") + HIDDEN[kind])
    found = {each.name: each for each in await place.context().skills.find()}
    assert not found["sly"].active
    assert found["mine"].active
    assert "cannot be seen" in found["sly"].problem
    assert "cannot be seen" in found["mine"].problem


async def test_disabled_skills_and_those_the_model_may_not_call(place: Place) -> None:
    place.own(".agents/skills/off/SKILL.md", skill("off"))
    place.own(
        ".agents/skills/quiet/SKILL.md", "---\nname: quiet\ndescription: d\ndisable-model-invocation: true\n---\nx"
    )
    place.own(".agents/skills/inner/SKILL.md", "---\nname: inner\ndescription: d\nuser-invocable: false\n---\nx")
    place.settings = ContextSettings(disabled_skills=("off",))
    context = place.context()
    block = skills_block(await context.skills.find())
    assert "<name>inner</name>" in block
    assert "quiet" not in block
    assert "<name>off</name>" not in block
    commands = {command.name for command in await context.commands.find() if command.source == "skill"}
    assert commands == {"quiet"}
    assert f"<location>{place.home}/.agents/skills/inner/SKILL.md</location>" in block


async def test_the_folder_of_a_users_skill_may_be_viewed_and_nothing_else(place: Place) -> None:
    folder = place.own(".agents/skills/mine/SKILL.md", skill("mine")).parent
    place.own(".agents/skills/broken/SKILL.md", "no head")
    place.own("elsewhere/linked/SKILL.md", skill("linked"))
    (place.home / ".agents/skills/linked").symlink_to(place.home / "elsewhere/linked")
    skills = place.context().skills
    assert not skills.is_skill_path(folder / "SKILL.md")
    await skills.find()
    assert skills.is_skill_path(folder / "SKILL.md")
    assert skills.is_skill_path(folder / "references" / "more.md")
    assert skills.is_skill_path(place.home / "elsewhere/linked/SKILL.md")
    for other in (folder.parent, folder.parent / "broken" / "SKILL.md", place.home / ".ssh/id_rsa", folder / ".env"):
        assert not skills.is_skill_path(other), other
    assert is_secret(str(folder / ".env"))


@given(HOSTILE, HOSTILE)
def test_PI_01_a_name_and_a_description_cannot_leave_the_block(name: str, description: str) -> None:
    made = Skill(Path("/s") / "x", name, description, "project")
    block = skills_block([made])
    assert len(OPENING.findall(block)) == 10
    assert block.endswith("</skill>\n</skills>")


@given(st.text(max_size=400))
def test_any_text_is_a_skill_or_has_a_problem(text: str) -> None:
    found = read_skill(Path("/skills/good-one/SKILL.md"), text, "project")
    assert found.active or found.problem
