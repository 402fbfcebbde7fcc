"""The heads of skills, rules, commands and agents: YAML, what people take for YAML, and what is meant to hurt."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_agent.context.frontmatter import FrontMatterError, split


def head(text: str):
    return split(f"---\n{text}\n---\nbody")


def test_what_people_write_round_a_head_is_tolerated() -> None:
    found = split("\ufeff\n\n---  \nname: x\nflag: true\nlist: [a, b]\n---\t\nbody\n---\nmore")
    assert found.text("name") == "x"
    assert found.flag("flag", default=False)
    assert found.texts("list") == ("a", "b")
    assert found.body == "body\n---\nmore"
    assert split("no head").body == "no head"
    assert split("---\n---\nempty").present
    assert split("-----\nname: x\n----\nbody").text("name") == "x"
    assert not split("text\n---\nx\n---\n").present


def test_a_head_without_an_end_is_none_but_known() -> None:
    found = split("---\nname: x\nbody")
    assert (found.present, found.unclosed, found.body) == (False, True, "---\nname: x\nbody")


def test_yaml_is_read_as_yaml_and_its_scalars_as_they_are_written() -> None:
    found = head(
        "name: 007 # a comment\nversion: 1.10\nwhen: 2024-01-01\nat: 1:30\nfolded: >-\n  one\n  two\n"
        "kept: |\n  one\n    two\nquoted: \"a: \\u00e9 \\\"b\\\"\"\nsingle: 'it''s'\nlist:\n  - a\n  - 'b, c'\n"
        'flow: [x, "y, z"]\nmetadata:\n  author: me\nnothing:\nplain: one\n  two'
    )
    assert [found.text(name) for name in ("name", "version", "when", "at")] == ["007", "1.10", "2024-01-01", "1:30"]
    assert found.text("folded") == "one two"
    assert found.text("kept") == "one\n  two"
    assert found.text("quoted") == 'a: é "b"'
    assert found.text("single") == "it's"
    assert found.texts("list") == ("a", "b, c")
    assert found.texts("flow") == ("x", "y, z")
    assert found.get("metadata") == {"author": "me"}
    assert found.get("nothing") == ""
    assert found.get("absent") is None
    assert found.text("plain") == "one two"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("globs: **/*.ts", ("**/*.ts",)),
        ("globs: *.py, src/**/*.{a,b}", ("*.py", "src/**/*.{a", "b}")),
        ("tools: *", ("*",)),
        ("globs: @scope/*", ("@scope/*",)),
        ("description: Use this: at once", ("Use this: at once",)),
        ("description: say \"yes\": now", ('say "yes": now',)),
        ("description: `code` first", ("`code` first",)),
        ("description: 100% of it, %d", ("100% of it", "%d")),
        ("hint: [pr] [priority]", ("[pr] [priority]",)),
        ("description: <a>user: \"x\"\\nmodel: 'y'</a>", ("<a>user: \"x\"\\nmodel: 'y'</a>",)),
        ("a: b: c\n  d: e", ("b: c d: e",)),
        ("tools: x: y\nlist:\n- *\n- 'b'", ("x: y",)),
    ],
)  # fmt: skip
def test_what_looks_like_yaml_and_is_none_is_read_line_by_line(line: str, wanted: tuple[str, ...]) -> None:
    found = head(f"first: yes\n{line}\n# a comment: too\n\nlast: [a, 'b']")
    assert found.texts(line.partition(":")[0]) == wanted
    assert found.flag("first", default=False)
    assert found.texts("last") == ("a", "b")


def test_line_by_line_there_are_lists_long_texts_and_tables_too() -> None:
    found = head(
        "broken: a: b\nlist:\n- *\n- 'b'\nlong: >\n  one: 1\n  two\nmetadata:\n  author: me\nflag: False\n"
        'end: "x\\ny"'
    )
    assert found.texts("list") == ("*", "b")
    assert found.text("long") == "one: 1 two"
    assert found.get("metadata") == {"author": "me"}
    assert not found.flag("flag", default=True)
    assert found.text("end") == "x\ny"


def test_fields_are_found_whatever_their_case_and_flags_know_what_they_are() -> None:
    found = head("Name: x\npermissionMode: plan\non: Yes\nodd: perhaps")
    assert (found.text("name"), found.text("permissionmode")) == ("x", "plan")
    assert found.text("absent", "NAME") == "x"
    assert [found.is_flag(name) for name in ("on", "odd", "absent")] == [True, False, True]
    assert found.flag("odd", default=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1, 2", "not YAML.* line 2 is not `name: value`"),
        ("- a\n- b", "line 2 is not"),
        ("just text", "line 2 is not"),
        ("fine: x: y\n<example>", "line 3 is not"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]", "aliases"),
        ("a: " + "[" * 3000, "nested too deeply"),
        ("{" * 300, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_or_would_hurt_is_refused_quickly_with_a_reason(text: str, why: str) -> None:
    begun = time.monotonic()
    with pytest.raises(FrontMatterError, match=why):
        head(text)
    assert time.monotonic() - begun < 1


def test_nothing_in_a_head_constructs_anything() -> None:
    found = head("a: !!python/object/apply:os.system [id]\nb: !!binary aGk=\nc: !!int x")
    assert (found.texts("a"), found.text("b"), found.text("c")) == (("id",), "aGk=", "x")


def test_a_head_that_is_too_long_is_refused() -> None:
    with pytest.raises(FrontMatterError, match="16 KiB"):
        split("---\n" + "a: b\n" * 10_000)


def test_the_longest_head_takes_no_time_to_speak_of() -> None:
    for line in ("a{}: b\n", "a{}: b: c\n", "a{}: 'x\n"):
        lines = "".join([line.format(number) for number in range(1_400)])
        begun = time.monotonic()
        try:
            head(lines)
        except FrontMatterError:
            pass  # also an answer
        assert time.monotonic() - begun < 3


@given(st.text(alphabet="-\n\r :a\ufeff*&[]{}#\"'", max_size=200))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        found = split(text)
    except FrontMatterError:
        return
    assert text.endswith(found.body)
    for name in found.fields:
        assert isinstance(found.text(name), str)
        assert all(isinstance(one, str) for one in found.texts(name))


_WORDS = st.text(alphabet="abcXYZ019 .-/", min_size=1, max_size=20).map(str.strip).filter(lambda one: one[:1].isalnum())


@given(st.dictionaries(st.sampled_from(["name", "tools", "other"]), st.one_of(_WORDS, st.lists(_WORDS, min_size=1))))
def test_both_ways_of_reading_agree_where_both_can(fields) -> None:
    lines = [
        f"{name}: {value}" if isinstance(value, str) else "\n".join([f"{name}:", *[f"  - {one}" for one in value]])
        for name, value in fields.items()
    ]
    as_yaml = head("\n".join(lines))
    by_line = head("\n".join([*lines, "broken: a: b"]))
    assert {**as_yaml.fields, "broken": "a: b"} == by_line.fields
