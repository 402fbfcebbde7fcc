import json
import signal
import sys
import time
from pathlib import Path

from tests.cli.conftest import Shell

CHAOS = (Path(__file__).parents[1] / "mcp" / "chaos_server.py").read_text()
PYTHON = str(Path(sys.executable).resolve())
ECHO = [{"tool": "mcp__here__echo", "input": {"text": "over there"}}]


def with_servers(shell: Shell, **commands: list[str]) -> None:
    """Add MCP servers to the configuration."""
    with (shell.home / "config.toml").open("a") as file:
        for name, command in commands.items():
            file.write(f"[mcp.{name}]\ncommand = {json.dumps(command)}\n")


def late(seconds: float) -> list[str]:
    """A server that takes its time to answer at all."""
    return [PYTHON, "-I", "-c", f"import time\ntime.sleep({seconds})\n{CHAOS}"]


def test_a_run_waits_for_the_servers_and_its_first_step_has_their_tools(shell):
    shell.script(ECHO, [{"text": "tool said: {{tool_result}}"}])
    with_servers(shell, here=late(1.0), broken=["/nowhere/at/all"])
    done = shell.run("run", "say it", "--yes")
    assert done.returncode == 0
    assert "over there" in done.stdout
    assert "waiting for MCP servers" in done.stderr
    assert "here" in done.stderr.split("waiting for MCP servers", 1)[1].splitlines()[0]
    assert "MCP server broken: command: the program was not found" in done.stderr
    assert "MCP server here" not in done.stderr


def test_a_server_that_does_not_come_is_waited_for_so_long_and_no_longer(shell):
    shell.script([{"text": "Hello there."}])
    with_servers(shell, never=late(60))
    before = time.monotonic()
    done = shell.run("run", "hi", "--mcp-timeout", "0.5")
    assert (done.returncode, done.stdout) == (0, "Hello there.\n")
    assert "MCP server never has not answered within 0.5 s" in done.stderr
    assert time.monotonic() - before < 12


def test_without_a_wait_nothing_is_said_of_servers(shell):
    shell.script([{"text": "Hello there."}])
    with_servers(shell, never=late(60))
    done = shell.run("run", "hi", "--mcp-timeout", "0")
    assert (done.returncode, done.stdout) == (0, "Hello there.\n")
    assert "MCP" not in done.stderr


def test_ctrl_c_while_it_waits_ends_it(shell):
    with_servers(shell, never=late(60))
    process = shell.start("run", "hi")
    seen = process.stderr.readline()
    assert "waiting for MCP servers: never" in seen
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
