import asyncio
import json
import stat
from pathlib import Path

import pytest

from tests.cli.test_run import session_ids
from tests.harness.client import Client

CANARY = "sk-canary-cli-do-not-show"


def test_sessions_are_listed_renamed_shown_exported_and_deleted(shell):
    assert shell.run("sessions").stdout == ""
    shell.run("run", "tell me a story")
    (session,) = session_ids(shell)
    assert shell.run("sessions", "rename", session, "The story").returncode == 0
    assert "The story" in shell.run("sessions", "list", "--query", "story").stdout
    assert shell.run("sessions", "list", "--query", "nothing like it").stdout == ""
    shown = shell.run("sessions", "show", session[-8:])
    assert "Hello there." in shown.stdout
    exported = json.loads(shell.run("sessions", "export", session).stdout)
    assert "Hello there." in json.dumps(exported)
    assert shell.run("sessions", "delete", session).returncode == 0
    assert session_ids(shell) == []
    gone = shell.run("sessions", "show", session)
    assert gone.returncode == 1
    assert "not found" in gone.stderr


def test_doctor_says_what_was_found_and_never_shows_a_key(shell):
    done = shell.run("doctor", "--offline", ANTHROPIC_API_KEY=CANARY, OPENAI_API_KEY=CANARY)
    assert done.returncode == 0, done.stdout
    assert CANARY not in done.stdout + done.stderr
    assert "play/demo" in done.stdout
    shell.home.joinpath("config.toml").write_text("[models]\nlarge = 5\nnonsense")
    assert shell.run("doctor", "--offline", ANTHROPIC_API_KEY=CANARY).returncode == 1


def test_config_show_names_the_origin_of_every_value_and_no_key(shell):
    text = '[providers.p]\ntype = "openai-compat"\nbase_url = "http://127.0.0.1:1"\n'
    text += f'api_key = "{CANARY}"\n'
    path = shell.home / "config.toml"
    path.write_text(path.read_text() + text)
    path.chmod(0o600)
    done = shell.run("config", "show", "--origin")
    assert CANARY not in done.stdout + done.stderr
    assert any("permissions.mode" in line and "config.toml" in line for line in done.stdout.splitlines())
    assert "#" not in shell.run("config", "show").stdout.splitlines()[0]
    assert shell.run("config", "path").stdout.strip() == str(path)
    assert json.loads(shell.run("config", "schema").stdout)


def test_schema_is_the_checked_in_one(shell):
    done = shell.run("schema")
    checked_in = Path(__file__).parents[2] / "docs/protocol.schema.json"
    assert json.loads(done.stdout) == json.loads(checked_in.read_text())


@pytest.mark.parametrize("command", [[], ["serve"], ["run"], ["sessions"], ["doctor"], ["config"], ["schema"]])
def test_every_command_has_help(shell, command):
    done = shell.run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: lsp-agent")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["run"],
        ["run", "x", "--mode", "yolo"],
        ["run", "x", "--session", "a", "--continue"],
        ["run", "x", "--max-steps", "many"],
        ["serve", "--port", "x"],
        ["sessions", "nonsense"],
        ["sessions", "rename", "only-one"],
        ["config", "nonsense"],
    ],
)
def test_rubbish_arguments_are_status_2_and_say_how_it_goes(shell, arguments):
    done = shell.run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert done.stdout == ""


# ------------------------------------------------------------------------------------------ beside a running editor


async def serve(shell, project: Path) -> Client:
    client = await Client.start(
        shell.home, env={"LSP_AGENT_CONFIG": str(shell.home / "config.toml")}, cwd=shell.project
    )
    await client.initialize(agent={"protocolVersions": [1]}, root=project)
    await client.request("agent/status")
    return client


async def test_beside_an_editor_the_commands_use_its_server(shell):
    async with await serve(shell, shell.project) as client:
        socket = shell.home / "data/server.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        done = await asyncio.to_thread(shell.run, "run", "hi")
        assert (done.returncode, done.stdout) == (0, "Hello there.\n")
        (session,) = await asyncio.to_thread(session_ids, shell)
        listed = await client.request("agent/session/list")
        assert [entry["sessionId"] for entry in listed["sessions"]] == [session]
        assert (await client.request("agent/status"))["connections"] == 1
        assert await client.shutdown() == 0
        assert not socket.exists()


async def test_beside_an_editor_that_works_elsewhere_a_run_says_so_and_does_nothing(shell):
    other = shell.home / "other"
    other.mkdir()
    async with await serve(shell, other):
        done = await asyncio.to_thread(shell.run, "run", "hi")
        assert done.returncode == 1
        assert str(other) in done.stderr
        assert "LSP_AGENT_DATA_DIR" in done.stderr
        assert (await asyncio.to_thread(shell.run, "sessions", "list")).returncode == 0
        doctor = await asyncio.to_thread(shell.run, "doctor", "--offline")
        assert "pid" in doctor.stdout


async def test_a_socket_left_by_a_killed_server_is_no_obstacle(shell):
    async with await serve(shell, shell.project) as client:
        client.kill9()
        await client.wait_exit()
    assert (shell.home / "data/server.sock").exists()
    assert (await asyncio.to_thread(shell.run, "run", "hi")).returncode == 0
    async with await serve(shell, shell.project) as client:
        assert await client.shutdown() == 0


async def test_a_locked_data_directory_without_a_socket_is_said_once(shell):
    async with await serve(shell, shell.project):
        (shell.home / "data/server.sock").unlink()
        done = await asyncio.to_thread(shell.run, "run", "hi")
        assert done.returncode == 1
        assert done.stderr.count("is in use by") == 1
        assert "pid" in done.stderr
