# ruff: noqa: E501  # tables read better in few lines
"""HTML as markdown: what people see, quickly, whatever the page does."""

import asyncio
import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_agent.domain.errors import ToolError
from lsp_agent.shell.spawner import Spawner
from lsp_agent.web import conversion
from lsp_agent.web.conversion import Converter
from lsp_agent.web.converter import convert
from lsp_agent.web.hidden import style_hides
from tests.shell.conftest import processes_with, until

BASE = "https://site.example/docs/"
HIDDEN = [
    '<p hidden>{}</p>', '<div style="display:none">{}</div>', '<span style="VISIBILITY : hidden">{}</span>', '<!-- {} -->',
    '<template><p>{}</p></template>', '<span style="font-size:0px">{}</span>', '<p aria-hidden="true">{}</p>',
    '<div style="position:absolute;left:-9999px">{}</div>', '<style>.x{{display:none}}</style><p class="a x">{}</p>',
    '<noscript>{}</noscript>', '<script>{}</script>', '<iframe>{}</iframe>', '<svg><text>{}</text></svg>', '<dialog>{}</dialog>',
    '<p style="opacity:0">{}</p>', '<p style="height:0;overflow:hidden">{}</p>', '<p style="text-indent:-99em">{}</p>', '<font size=0>{}</font>',
    '<p style="clip-path: inset(100%)">{}</p>', '<p style="transform:scale(0)">{}</p>', '<p style="font:1px/1 a">{}</p>', '<nav>{}</nav>',
    '<style>#h,.q{{visibility:hidden !important}}</style><p id=h>{}</p>', '<p style="color:transparent">{}</p>', '<header>{}</header>',
    '<footer>{}</footer>', '<aside>{}</aside>', '<a href="javascript:{}">x</a>', '<a href="data:text/html,{}">x</a>', '<img src="https://e/{}">',
    '<p title="{}">x</p>', '<input type=hidden value="{}">', '<textarea>{}</textarea>', '<p style="/**/display:/**/none">{}</p>',
    '<style>/*a*/p.z , b.z{{font-size:0}}</style><p class=z>{}</p>', '<object data="{}">{}</object>', '<meta content="{}">', '<![CDATA[{}',
]  # fmt: skip
HOSTILE = {
    "<b x 50,000": "<b" * 50_000, "nesting 100,000": "<div>" * 100_000 + "x" + "</div>" * 100_000, "quotes": "<blockquote>" * 50_000 + "x",
    "lists": "<ul><li>a" * 50_000, "tables": "<table><tr><td>a" * 60_000, "links": "<a href=x>y" * 50_000, "angle": "<" * 300_000,
    "comments": "<!--" * 500_000, "entities": "&amp;" * 200_000, "attributes": "<p " + " ".join(f"a{n}" for n in range(100_000)) + ">x",
    "unmatched": "<div>" * 3000 + "</b>" * 100_000, "style": "<p style='" + "a:b;" * 500_000 + "'>x", "marks": "<b><i><u>" * 20_000 + "</b>" * 9000,
    "sheet": "<style>" + "a{" * 500_000 + "</style>x", "sheet2": "<style>" + ".a{display:none}" * 50_000 + "</style>x", "pre": "<pre>" * 50_000 + "`" * 500_000,
    "nul": "\0" * 1_000_000, "title": "<title>" + "x" * 1_000_000,
}  # fmt: skip


def markdown(html: str) -> str:
    return convert("markdown", BASE, html.encode())


def test_PI_02_nothing_a_reader_cannot_see_survives():
    kept = [
        page for page in HIDDEN if "INJECTED" in markdown(f"<html><body>before {page.format('INJECTED', '')} after")
    ]
    assert kept == []
    assert "seen" in markdown("<p style='font-size:12px;opacity:0.9;left:-3px;margin-left:-20px'>seen</p>")
    print(f"\nhidden samples: 0 of {len(HIDDEN)} survive")


def test_a_page_reads_like_a_page():
    page = """<html><head><title> A  page </title><base href="/base/"></head><body><nav>menu</nav><main><h1>Head</h1>
      <p>Some <b>bold</b>, <i>slanted </i> and <code>code</code>; a <a href="x?a=(b)">link <b>bold</b></a>, <a href="#top">in page</a>.</p>
      <ul><li>one<ul><li>deep</li></ul></li><li>two</li></ul><ol><li>a</li><li>b</li></ol>
      <pre><code>def f():\n    return "```"\n</code></pre><blockquote><p>said</p></blockquote>
      <table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table><img src="https://e/x.png" alt="A cat"><hr>
      <p>end<br>line <b></b><a href="y"></a></p></main></body></html>"""
    assert markdown(page).splitlines() == [
        "Title: A page", "", "# Head", "",
        "Some **bold**, *slanted* and `code`; a [link **bold**](https://site.example/base/x?a=%28b%29), in page.", "",
        "- one", "  - deep", "- two", "", "1. a", "2. b", "", "````", "def f():", '    return "```"', "````", "", "> said", "",
        "| A | B |", "| --- | --- |", "| 1 | 2 |", "", "[image: A cat]", "", "---", "", "end", "line",
    ]  # fmt: skip
    plain = convert("text", BASE, page.encode())
    assert "](" not in plain
    assert "**" not in plain
    assert "Some bold, slanted and code; a link bold, in page." in plain


@given(st.text(alphabet="<>/abpre !-=\"'hidntlu\n&;#", max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_page(text):
    assert markdown(text).endswith("\n")


def test_styles_that_show_are_shown():
    for style in (
        "",
        "display:block",
        "opacity: 1",
        "font-size: 16px",
        "height:0",
        "left:-10px",
        "x",
        ";;:",
        "clip-path:none",
    ):
        assert not style_hides(style), style


@pytest.mark.parametrize(
    "names", [("<b x 50,000", "nesting 100,000", "sheet"), pytest.param(tuple(HOSTILE), marks=pytest.mark.slow)]
)
@pytest.mark.timeout(120)
async def test_EX_17_hostile_pages_are_converted_or_given_up_in_time(tmp_path, names):
    converter = Converter(Spawner(), tmp_path / "pages", deadline_s=5.0)
    took = {}
    for name, page in ((name, HOSTILE[name]) for name in names):
        started = time.monotonic()
        with contextlib.suppress(ToolError):  # given up
            await converter.markdown(page, BASE)
        took[name] = time.monotonic() - started
    slowest = max(took, key=took.get)
    print(f"\nconversion: {len(took)} hostile pages, slowest {slowest!r} {took[slowest]:.2f} s")
    assert max(took.values()) < 6.0
    assert not any((tmp_path / "pages").iterdir())


async def test_EX_17_a_conversion_that_hangs_is_killed(tmp_path):
    converter = Converter(Spawner(), tmp_path / "hang", deadline_s=0.3)
    with pytest.raises(ToolError, match=r"in 0\.3 seconds"):
        await converter.markdown("<" * 5_000_000, BASE)
    await until(lambda: not processes_with(str(tmp_path / "hang")))
    patient = Converter(Spawner(), tmp_path / "cancel")
    task = asyncio.create_task(patient.markdown("<" * 5_000_000, BASE))
    await until(lambda: processes_with(str(tmp_path / "cancel")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not processes_with(str(tmp_path / "cancel")))
    assert not any((tmp_path / "cancel").iterdir())


async def test_the_converter_sees_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("CANARY_KEY", "sk-canary")
    converter = Converter(Spawner(), tmp_path / "p")
    assert "CANARY_KEY" not in conversion._order(tmp_path / "x").env
    assert "hello" in await converter.markdown("<p>hello\x1b[31m<p>there", BASE)
    assert "\x1b" not in await converter.markdown("<p>hello\x1b[31m\u202e", BASE)


async def test_search_pages_are_read(tmp_path):
    page = """<table><tr><td><a rel=nofollow href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.example%2Fx%3Fy&rut=1" class='result-link'>One <b>hit</b></a></td></tr>
      <tr><td class='result-snippet'>About <b>one</b></td></tr><tr><td><a class="result-link" href="https://duckduckgo.com/y.js?ad=1">Ad</a></td></tr>
      <tr><td><a class="result-link" href="javascript:x">Bad</a></td></tr><tr><td><a class="result-link" href="https://b.example/">Two</a></td></tr></table>"""
    converter = Converter(Spawner(), tmp_path / "p")
    found = await converter.search_results(page, "https://lite.duckduckgo.com/lite/")
    assert found == {"blocked": False, "results": [
        {"title": "One hit", "url": "https://a.example/x?y", "snippet": "About one"}, {"title": "Two", "url": "https://b.example/", "snippet": ""},
    ]}  # fmt: skip
    assert (await converter.search_results("<div class='anomaly-modal__x'>", BASE))["blocked"]
