"""The tools of one server must not fill every request."""

from lsp_agent.mcp.schemas import MAX_OFFERED_CHARS, ToolInfo, affordable


def info(name: str, size: int) -> ToolInfo:
    return ToolInfo("s", name, f"mcp__s__{name}", "d" * size, {"type": "object", "properties": {}}, "x")


def test_tools_beyond_the_room_of_a_server_are_left_out_and_named():
    few = [info("a", 100), info("b", 100)]
    assert affordable(few) == (few, [])
    many = [info(f"t{number:03}", 2_000) for number in range(1_000)]
    kept, left_out = affordable([*many, info("small", 10)])
    assert sum(len(one.description) for one in kept) <= MAX_OFFERED_CHARS
    assert len(kept) > 50
    assert kept[-1].tool == "small"
    assert {one.tool for one in kept} | set(left_out) == {*(one.tool for one in many), "small"}
