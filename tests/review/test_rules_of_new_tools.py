"""Rules of the configuration for tools that came later: those of MCP servers, and those of the web."""

import pytest

from lsp_agent.policy.rules import Effect, Policy
from lsp_agent.ports.approver import PermissionAsk


def decided(policy: Policy, tool: str, action: str, subject: dict[str, object], mode: str = "full-auto") -> Effect:
    return policy.decide_ask(PermissionAsk(tool, action, "Do it", subject), mode, None, None).effect


def call(tool: str) -> tuple[str, str, dict[str, object]]:
    return tool, "execute", {"type": "tool", "server": "x", "name": "y", "input": {}}


def fetch(tool: str, url: str, action: str = "fetch") -> tuple[str, str, dict[str, object]]:
    return tool, action, {"type": "url", "url": url}


@pytest.mark.parametrize("rule", ["mcp__*", "mcp__github__*", "MCP__GitHub__*", "mcp__*__delete", "mcp__*:execute"])
def test_a_star_in_a_deny_rule_covers_the_tools_of_mcp_servers(rule):
    policy = Policy(deny=[rule])
    assert decided(policy, *call("mcp__github__delete")) is Effect.DENY
    assert decided(policy, *call("bash")) is not Effect.DENY


def test_a_star_in_an_allow_rule_covers_only_what_it_spells():
    policy = Policy(allow=["mcp__docs__*"])
    assert decided(policy, *call("mcp__docs__search"), mode="ask") is Effect.ALLOW
    assert decided(policy, *call("mcp__docs2__search"), mode="ask") is Effect.ASK
    assert decided(policy, *call("MCP__DOCS__search"), mode="ask") is Effect.ASK


@pytest.mark.parametrize("tool", ["fetch", "web_fetch", "agentic_fetch", "download", "bash"])
@pytest.mark.parametrize("url", ["https://evil.example/x", "http://evil.example/x", "HTTPS://EVIL.example/x"])
def test_what_may_not_be_fetched_is_not_fetched_by_another_tool_or_without_encryption(tool, url):
    policy = Policy(deny=["fetch:https://evil.example"])
    action = "download" if tool == "download" else "fetch"
    assert decided(policy, *fetch(tool, url, action)) is Effect.DENY
    assert decided(policy, *fetch(tool, "https://good.example/x", action)) is not Effect.DENY


@pytest.mark.parametrize("tool", ["fetch", "web_fetch", "agentic_fetch", "download"])
def test_no_fetching_at_all_is_no_fetching_by_any_tool(tool):
    assert decided(Policy(deny=["fetch"]), *fetch(tool, "https://a.example/")) is Effect.DENY
    assert decided(Policy(deny=["fetch"]), tool, "fetch", {"type": "tool", "name": tool, "input": {}}) is Effect.DENY


def test_allowing_to_fetch_allows_neither_research_nor_downloads():
    policy = Policy(allow=["fetch:https://docs.example/"])
    assert decided(policy, *fetch("fetch", "https://docs.example/x"), mode="ask") is Effect.ALLOW
    for tool, action in (("agentic_fetch", "fetch"), ("download", "download")):
        assert decided(policy, *fetch(tool, "https://docs.example/x", action), mode="ask") is Effect.ASK


def test_allowing_every_command_opens_no_network():
    policy = Policy(allow=["bash"])
    assert decided(policy, *fetch("bash", "https://anywhere.example/"), mode="ask") is Effect.ASK


def test_where_nothing_may_be_edited_nothing_is_saved_either():
    ask = PermissionAsk("download", "download", "Save it", {"type": "url", "url": "https://a.example/x"}, "/w/src/x.py")
    for rule in ("edit:src/**", "edit", "download:src/**", "edit:/w/src/*"):
        assert Policy(deny=[rule]).decide_ask(ask, "full-auto", "src/x.py", None).effect is Effect.DENY
    assert Policy(deny=["edit:other/**"]).decide_ask(ask, "full-auto", "src/x.py", None).effect is Effect.ALLOW
