"""Finding the function to write again, and taking the new one out of a small model's answer."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.providers.constrained_rewrite import (
    code_of,
    fitted,
    likely,
    mentioned,
    parts_of,
    selected,
    unique,
    whole,
)

PYTHON = [
    "import math",
    "",
    "",
    "@cached",
    "def mean(points):",
    '    """Of all."""',
    "    return sum(points) / len(points)",
    "",
    "",
    "class Box:",
    "    def area(self, w, h):",
    "        return w * h",
    "",
    "    async def load(self):",
    "        return None",
    "",
]
TYPESCRIPT = [
    'import { x } from "y";',
    "",
    "export function add(a: number, b: number): number {",
    "  // a } in a comment",
    '  return a + b; // "{"',
    "}",
    "",
    "class Box {",
    "  area(w: number): number {",
    "    if (w > 0) {",
    "      return w * w;",
    "    }",
    "    return 0;",
    "  }",
    "}",
    "",
    "export const twice = (n: number) => {",
    "  return `${n}{` + n;",
    "};",
    "",
]
GO = ["func (b *Box) Area(w int) int {", "\treturn w * w", "}", ""]


def named(lines, path):
    return {part.name: part for part in parts_of(lines, path)}


def test_python_is_read_by_its_own_parser_decorators_included():
    found = named(PYTHON, "a.py")
    assert list(found) == ["mean", "Box.area", "Box.load", "Box"]
    assert found["mean"].text(PYTHON).startswith("@cached\ndef mean")
    assert found["Box.area"].text(PYTHON) == "    def area(self, w, h):\n        return w * h"


def test_a_piece_of_python_that_does_not_parse_is_read_by_indentation():
    piece = ["        return 1", "", *PYTHON[3:]]
    assert {"mean", "Box", "area", "load"} == set(named(piece, "a.py"))
    assert named(piece, "a.py")["mean"].text(piece).endswith("len(points)")


def test_braces_are_matched_outside_strings_and_comments():
    found = named(TYPESCRIPT, "a.ts")
    assert set(found) == {"add", "Box", "area", "twice"}
    assert found["add"].text(TYPESCRIPT).endswith('// "{"\n}')
    assert found["area"].text(TYPESCRIPT).count("\n") == 5
    assert "Area" in named(GO, "box.go")


def test_the_selection_means_the_smallest_function_around_it_or_itself():
    parts = parts_of(PYTHON, "a.py")
    chosen = selected(PYTHON, parts, 11, 11)
    assert chosen is not None
    assert chosen.name == "Box.area"
    outside = selected(PYTHON, parts, 0, 1)
    assert outside is not None
    assert (outside.start, outside.end) == (0, 1)


def test_a_name_in_the_question_or_its_words_choose_the_function():
    parts = parts_of(PYTHON, "a.py")
    assert [part.name for part in mentioned("Add a docstring to `area`.", parts)] == ["Box.area"]
    assert [part.name for part in likely("Return 0.0 when points is empty", parts, PYTHON)] == ["mean"]


def test_the_code_is_taken_out_of_its_fence():
    assert code_of("Sure:\n```python\nx = 1\n```\nDone.") == "x = 1"
    assert code_of("```python\nx = 1") == "x = 1"
    assert code_of("x = 1\n") == "x = 1"
    assert code_of("```\n```") is None


OLD = "    def area(self, w, h):\n        return w * h"


@pytest.mark.parametrize(
    "answer",
    [
        "```python\ndef area(self, width, h):\n    return width * h\n```",
        "```python\n    def area(self, width, h):\n        return width * h\n```",
        "```python\nimport os\n\nclass Box:\n    def area(self, width, h):\n        return width * h\n```",
    ],
)
def test_the_new_function_is_indented_like_the_old_one(answer):
    assert fitted(OLD, answer, "a.py", "Box.area") == (
        "    def area(self, width, h):\n        return width * h",
        "",
    )


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("```python\ndef area(self, w, h:\n```", "not valid Python"),
        ("```python\ndef other(self):\n    pass\n```", "does not define area"),
        ("I cannot do that.", "not valid Python"),
        ("```\n```", "no code"),
        ("```python\ndef area():\n" + "    x = 1\n" * 2000 + "```", "far longer"),
    ],
)
def test_what_cannot_be_right_is_refused_with_a_reason(answer, why):
    new, trouble = fitted(OLD, answer, "a.py", "Box.area")
    assert new is None
    assert why in trouble


def test_an_answer_that_changes_nothing_is_told_apart():
    assert fitted(OLD, f"```python\n{OLD}\n```", "a.py", "Box.area")[0] == OLD


def test_brackets_that_do_not_match_are_refused():
    old = "function add(a) {\n  return a;\n}"
    assert (
        fitted(old, "```js\nfunction add(a) {\n  return (a;\n}\n```", "a.js", "add")[1] == "its brackets do not match"
    )
    assert fitted(old, "```js\nfunction add(a) {\n  return a + 1;\n}\n```", "a.js", "add")[0] is not None


def test_a_text_that_occurs_twice_is_widened_until_it_is_unique():
    lines = ["a", "x", "b", "x"]
    part = unique(lines, selected(lines, [], 1, 1))  # type: ignore[arg-type]
    assert "\n".join(lines).count(part.text(lines)) == 1


def test_a_short_file_may_be_written_whole_and_a_long_one_not():
    assert whole(["a = 1", ""]) is not None
    assert whole(["a = 1"] * 500) is None


@given(
    st.text(alphabet="ab(){}[]\"'`#/\\ \n\t:=defclass", max_size=200),
    st.sampled_from(["a.py", "a.ts", "a.go", "a.txt"]),
)
def test_no_text_breaks_the_search_and_every_part_lies_inside_it(text, path):
    lines = text.split("\n")
    for part in parts_of(lines, path):
        assert 0 <= part.start < part.end <= len(lines)
        assert "\n".join(lines).count(unique(lines, part).text(lines)) >= 1


@given(st.text(max_size=300))
def test_whatever_a_model_answers_a_python_function_stays_python(answer):
    new, _ = fitted(OLD, answer, "a.py", "Box.area")
    if new is not None:
        ast.parse("class Box:\n" + new)
