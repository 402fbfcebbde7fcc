from lsp_agent.config.lines import line_of

TEXT = '''
top = 1
[a]
b.c = 2
"quoted key" = 3
text = """
[not.a.table]
no = 1
"""
after = 4
[[list]]
id = 1
[[list]]
id = 2
  [list.sub]
  x = 1
[ "dotted.name" . deep ]
k = {inline = 1}
'''


def test_keys_are_found_where_they_stand():
    assert line_of(TEXT, ("top",)) == 2
    assert line_of(TEXT, ("a", "b", "c")) == 4
    assert line_of(TEXT, ("a", "quoted key")) == 5
    assert line_of(TEXT, ("a", "after")) == 10
    assert line_of(TEXT, ("list", 0, "id")) == 12
    assert line_of(TEXT, ("list", 1, "id")) == 14
    assert line_of(TEXT, ("list", 1, "sub", "x")) == 16
    assert line_of(TEXT, ("dotted.name", "deep", "k")) == 18


def test_what_is_not_there_is_reported_at_what_holds_it():
    assert line_of(TEXT, ("a", "missing")) == 3
    assert line_of(TEXT, ("dotted.name", "deep", "k", "inline")) == 18
    assert line_of(TEXT, ("list", 1, "name")) == 13
    assert line_of(TEXT, ("nothing",)) is None


def test_lines_inside_a_long_string_are_no_keys():
    assert line_of(TEXT, ("not", "a", "table", "no")) is None
