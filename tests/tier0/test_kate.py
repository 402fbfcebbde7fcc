"""A real Kate under Xvfb, no plugin of ours (Debian: kate xvfb xdotool dbus imagemagick)."""

import json
import sys
from pathlib import Path

import pytest

from lsp_agent.server.tier0.hints import Mark
from lsp_agent.server.tier0.marker import Marker
from lsp_agent.server.tier0.offers import Facts, offers
from tests.harness.client import Client
from tests.tier0.kate import MISSING, kate, until
from tests.tier0.plain import capabilities, until_file

pytestmark = [
    pytest.mark.editor,
    pytest.mark.process,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        bool(MISSING), reason=f"not installed: {MISSING}; apt-get install kate xvfb xdotool dbus imagemagick"
    ),
]
HERE, MARK = Marker(0, "x"), Mark("s", "h", 0, 2, "", "x")
PLACE = {"uri": "file:///a.py", "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}}


def titles(**facts) -> list[str]:
    """What the menu holds on a line."""
    return [offer.title for offer in offers(Facts(PLACE, **facts), None)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "project/.git").mkdir(parents=True)
    (tmp_path / "project/a.py").write_text("x = 1\n")
    return tmp_path


async def watched(home: Path) -> Client:
    """A second client on Kate's server, which sees what the agent does."""
    client = await Client.connect(home / "s.sock")
    await client.initialize(root=home / "project")
    return client


async def session_of(client: Client) -> str:
    """The session Kate's user has started, with its events coming."""
    while not (found := (await client.request("agent/session/list"))["sessions"]):
        pass
    session = str(found[0]["sessionId"])
    await client.request("agent/session/attach", {"sessionId": session, "afterSeq": 0})
    return session


async def test_in_kate_an_unsaved_comment_is_asked_allowed_done_and_kept(home):
    with kate(home, home / "project/a.py") as window:
        async with await watched(home) as client:
            window.focus(home / "project/a.py")
            window.type("# agent: leave a note")
            window.keys("Return", "ctrl+Home")
            window.act(titles(marker=HERE), "Agent: do this")
            session = await session_of(client)
            pending = await client.until_event("permission_requested", session)
            assert not (home / "project/note.py").exists()
            record = pending["update"]
            window.act(titles(marker=HERE, pending=[record], is_busy=True, has_session=True), "Agent: Allow once")
            resolved = await client.until_event("permission_resolved", session)
            assert resolved["update"]["requestId"] == record["requestId"]
            await client.until_complete()
            text = await until_file(home / "project/note.py", "remember")
            assert "leave a note" not in (home / "project/a.py").read_text(), "the comment was never saved"
            window.open(home / "project/note.py")
            window.focus(home / "project/note.py")
            window.picture(home / "kate.png")
            window.act(titles(marks=[MARK], has_session=True), "Agent: keep this change")
            await client.until(lambda m: '"accepted"' in json.dumps(m) and "changes_update" in json.dumps(m))
            assert (home / "project/note.py").read_text() == text


async def test_in_kate_a_run_is_stopped_by_a_code_action(home):
    (home / "project/a.py").write_text("# agent: hold on\n")
    with kate(home, home / "project/a.py") as window:
        async with await watched(home) as client:
            window.focus(home / "project/a.py")
            window.act(titles(marker=HERE), "Agent: do this")
            await session_of(client)
            window.act(titles(marker=HERE, is_busy=True, has_session=True), "Agent: stop")
            assert (await client.until_complete())["cancelled"] is True


def test_kate_says_of_itself_what_the_fixture_says(home):
    said = home / "said.json"
    recorder = [sys.executable, str(Path(__file__).with_name("recorder.py")), str(said)]
    with kate(home, home / "project/a.py", recorder):
        until(said.exists, "Kate has introduced itself")
    recorded = json.loads(said.read_text())
    known = capabilities("kate")
    assert recorded == {"clientInfo": known["clientInfo"], "capabilities": known["capabilities"]}
