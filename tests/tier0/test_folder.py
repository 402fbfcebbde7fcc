"""Our own documents: where they are, who can read them."""

import pytest

from lsp_agent.config.paths import DataDirRefused
from lsp_agent.server.tier0.folder import PROMPT_HEAD, TRANSCRIPTS_KEPT, Folder, prompt_of


@pytest.fixture
def folder(tmp_path):
    return Folder({"LSP_AGENT_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}, [tmp_path / "project"])


def test_documents_are_for_the_user_alone_and_replaced_whole(folder):
    folder.write_transcript("S1", "one")
    folder.write_transcript("S1", "two")
    path = folder.transcript("S1")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["S1.md"]


def test_a_state_directory_inside_the_workspace_is_refused(tmp_path):
    with pytest.raises(DataDirRefused):
        Folder({"LSP_AGENT_DATA_DIR": str(tmp_path / "w" / "data"), "HOME": str(tmp_path / "home")}, [tmp_path / "w"])


def test_old_transcripts_go(folder):
    for number in range(TRANSCRIPTS_KEPT + 5):
        folder.write_transcript(f"S{number}", "x")
    assert len(list(folder.transcript("S0").parent.iterdir())) == TRANSCRIPTS_KEPT


def test_the_prompt_document_is_made_once_and_read_without_our_comment(folder):
    assert folder.read_prompt() == ""
    folder.ready_prompt()
    assert prompt_of(folder.read_prompt()) == ""
    folder.write(folder.prompt, f"{PROMPT_HEAD}Do this\n\nand that\n")
    folder.ready_prompt()
    assert prompt_of(folder.read_prompt()) == "Do this\n\nand that"


def test_a_workspace_is_new_once(folder, tmp_path):
    assert [folder.is_new([tmp_path / "a"]), folder.is_new([tmp_path / "a"]), folder.is_new([tmp_path / "b"])] == [
        True,
        False,
        True,
    ]
