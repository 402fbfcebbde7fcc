"""Documents and code agree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_code_map_names_every_package():
    text = (ROOT / "docs/architecture.md").read_text()
    packages = {path.parent.name for path in (ROOT / "lsp_agent").glob("*/__init__.py")}
    named = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert packages <= named, packages - named


def test_every_dependency_says_why():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = lines.index("dependencies = [") + 1
    listed = lines[start : lines.index("]", start)]
    assert [line for line in listed if "# " not in line] == []


def test_the_lock_holds_every_dependency():
    lock = {line.split("==")[0].lower() for line in (ROOT / "requirements.lock").read_text().splitlines()}
    text = (ROOT / "pyproject.toml").read_text()
    wanted = {name.lower() for name in re.findall(r'^    "([A-Za-z0-9_-]+)[><=]=', text, re.MULTILINE)}
    assert wanted <= lock, wanted - lock


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text())) <= targets


def test_every_protocol_case_of_the_catalogue_has_a_test_of_its_name():
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"def test_(\w*PR_\d\d\w*)", path.read_text()):
            found |= {int(number) for number in re.findall(r"PR_(\d\d)", name)}
    assert sorted(set(range(1, 26)) - found) == []


@pytest.mark.parametrize(("family", "last"), [("SH", 24), ("FS", 18), ("CF", 17), ("EX", 19), ("MC", 13), ("PI", 10)])
def test_every_attack_of_the_catalogue_has_a_test_of_its_name(family, last):
    names = [
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    ]
    found = {int(number) for name in names for number in re.findall(rf"{family}_(\d\d)(?!\d)", name)}
    missing = [f"{family}-{number:02}" for number in range(1, last + 1) if number not in found]
    assert not missing, f"no test is named after {', '.join(missing)}"
