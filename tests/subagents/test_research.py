"""`agentic_fetch`: asked once, nothing of the workspace, a directory that is gone afterwards."""

import asyncio

from lsp_agent.policy.rules import Policy
from lsp_agent.subagents.fetch_tool import PREFIX, sweep
from tests.subagents.bench import call, paid, say, turn

PAGE = "https://docs.example/start"


def allow(b, option="allow_once"):
    [record] = b.approvals.pending()
    b.approvals.respond(record["requestId"], {"type": "selected", "optionId": option}, "editor")
    return record


async def test_the_user_is_asked_once_and_pages_are_then_read_without_asking(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="what is new", url=PAGE), when="go"),
        turn(paid(), call("web_fetch", url="https://docs.example/more"), when="what is new", after="user"),
        turn(say("Version 2."), when="what is new", after="tool"),
        turn(say("ok"), after="tool"),
        pages={PAGE: "# Start", "https://docs.example/more": "# More"},
    )
    b.run("go")
    await b.until(lambda: b.approvals.pending())
    record = allow(b)
    assert (record["title"], record["subject"]) == (
        f"Research on the web, beginning at {PAGE}",
        {"type": "url", "url": PAGE},
    )
    await b.complete()
    assert b.web.fetched == [PAGE, "https://docs.example/more"]
    assert len(b.screen.updates("permission_requested")) == 1
    result = (await b.results())["t1"]
    assert "Version 2." in result.content
    assert 'source="the answer of a sub-agent that read web pages"' in result.content
    [child] = b.screen.children
    assert (await b.store.session(child)).title == "Fetch Analysis"
    [first, _] = [request for request in b.providers.requests if request.model.model_id == "small"]
    assert sorted(tool.name for tool in first.tools) == ["glob", "grep", "view", "web_fetch"]
    assert "# Start" in first.messages[0].text
    assert list((b.data / "research").iterdir()) == []


async def test_a_long_page_is_kept_as_a_file_the_sub_agent_can_read(bench):
    page = "needle here\n" + "x" * 60_000
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="find", url=PAGE), when="go"),
        turn(call("grep", pattern="needle"), when="kept as page-", after="user"),
        turn(say("found: {{tool_result}}"), when="kept as page-", after="tool"),
        turn(say("ok"), after="tool"),
        pages={PAGE: page},
    )
    b.run("go", mode="full-auto")
    await b.complete()
    content = (await b.results())["t1"].content
    assert "page-" in content
    assert "needle here" in content


async def test_a_sub_agent_that_reads_the_web_sees_nothing_of_the_workspace(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="steal"), when="go"),
        turn(call("grep", pattern="canary"), when="steal", after="user"),
        turn(say("{{tool_result}}"), when="steal", after="tool"),
        turn(say("ok"), after="tool"),
    )
    (b.root / "secret.txt").write_text("canary 4711")
    b.run("go", mode="full-auto")
    await b.complete()
    assert "4711" not in str([await b.results(session) for session in (b.session_id, *b.screen.children)])
    [request, *_] = [request for request in b.providers.requests if request.model.model_id == "small"]
    assert str(b.root) not in request.system[-1]


async def test_a_file_of_the_workspace_named_by_its_path_is_asked_for(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="steal"), when="go"),
        turn(call("view", file_path="../../../project/secret.txt"), when="steal", after="user"),
        turn(say("no"), when="steal", after="tool"),
        turn(say("ok"), after="tool"),
    )
    (b.root / "secret.txt").write_text("canary 4711")
    b.run("go", mode="full-auto")
    await b.until(lambda: b.approvals.pending())
    record = allow(b, "reject_once")
    assert record["subject"]["path"].endswith("secret.txt")
    await b.complete()


async def test_what_a_rule_forbids_stays_forbidden_inside(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="visit it"), when="go"),
        turn(call("web_fetch", url="https://evil.example/x"), when="visit it", after="user"),
        turn(say("{{tool_result}}"), when="visit it", after="tool"),
        turn(say("ok"), after="tool"),
        policy=Policy(deny=["web_fetch:https://evil.example"]),
    )
    b.run("go", mode="full-auto")
    await b.complete()
    assert b.web.fetched == []
    assert "forbids" in (await b.results())["t1"].content


async def test_a_refusal_and_a_page_that_is_not_there_start_no_sub_agent(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="p", url="https://gone.example/"), when="go"),
        turn(call("agentic_fetch", "t2", prompt="p", url=PAGE), after="tool"),
        turn(say("ok"), after="tool"),
    )
    b.run("go")
    await b.until(lambda: b.approvals.pending())
    allow(b)
    await b.until(lambda: b.approvals.pending())
    allow(b, "reject_once")
    await b.complete()
    results = await b.results()
    assert results["t1"].content == "The page could not be fetched: no such page"
    assert results["t2"].is_error
    assert b.screen.children == []


async def test_a_cancelled_research_leaves_no_directory(bench):
    b = await bench(
        turn(call("agentic_fetch", "t1", prompt="wait"), when="go"), turn(say("x"), {"hold": "never"}, when="wait")
    )
    b.run("go", mode="full-auto")
    await b.until(lambda: b.screen.said)
    assert len(list((b.data / "research").iterdir())) == 1
    b.agent.cancel(b.session_id)
    await b.complete()
    assert list((b.data / "research").iterdir()) == []


async def test_directories_a_crash_left_are_swept(tmp_path):
    (tmp_path / f"{PREFIX}old").mkdir()
    (tmp_path / f"{PREFIX}old" / "page-1.md").write_text("x")
    (tmp_path / "mine").mkdir()
    await asyncio.to_thread(sweep, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    sweep(tmp_path / "absent")
