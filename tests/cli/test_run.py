import json
import signal

from tests.cli.conftest import Shell

VIEW_OUTSIDE = {"tool": "view", "input": {"file_path": "../outside.txt"}}


def wait_for(shell: Shell, process, text: str) -> str:
    """Read stdout up to `text`."""
    seen = ""
    while text not in seen:
        piece = process.stdout.read(1)
        assert piece, (seen, process.stderr.read())
        seen += piece
    return seen


def test_a_run_streams_its_answer_to_stdout_and_ends_with_status_0(shell):
    done = shell.run("run", "hi", "you")
    assert (done.returncode, done.stdout) == (0, "Hello there.\n")


def test_a_run_prints_text_as_it_comes_and_ends_by_its_terminal_event_only(shell):
    shell.script([{"text": "first "}, {"hold": "never"}])
    process = shell.start("run", "hi")
    wait_for(shell, process, "first ")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_ctrl_c_cancels_the_run_keeps_what_it_said_and_is_status_130(shell):
    shell.script([{"text": "half an answer "}, {"hold": "never"}], [{"text": "again"}])
    process = shell.start("run", "hi")
    wait_for(shell, process, "half an answer")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "half an answer" in shell.run("sessions", "show", session_ids(shell)[0]).stdout


def test_attached_lines_reach_the_model(shell):
    shell.script([{"text": "saw {{attachment_path}}"}])
    path = shell.write("a.py", "".join(f"line {n}\n" for n in range(1, 10)))
    done = shell.run("run", "look", "--attach", f"{path.name}:2-3")
    assert done.returncode == 0
    assert "a.py" in done.stdout
    exported = shell.run("sessions", "export", session_ids(shell)[0]).stdout
    assert "line 2" in exported
    assert "line 4" not in exported


def test_a_file_outside_the_workspace_is_attached_when_it_is_allowed_and_else_the_run_goes_on_without_it(shell):
    outside = shell.home / "outside.txt"
    outside.write_text("far away words\n")
    shell.script([{"text": "looked"}], [{"text": "looked again"}])
    done = shell.run("run", "look", "--attach", str(outside))
    assert (done.returncode, done.stdout) == (0, "looked\n")
    assert "Not attached" in done.stderr
    (refused,) = session_ids(shell)
    assert "far away words" not in shell.run("sessions", "export", refused).stdout
    done = shell.run("run", "look", "--attach", str(outside), "--yes")
    assert (done.returncode, "Not attached" in done.stderr) == (0, False)
    (allowed,) = [one for one in session_ids(shell) if one != refused]
    assert "far away words" in shell.run("sessions", "export", allowed).stdout


def test_json_prints_every_event_as_a_line_and_ends_with_the_terminal_one(shell):
    done = shell.run("run", "hi", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["method"] for line in lines} == {"agent/event", "agent/runComplete"}
    (complete,) = [line["params"] for line in lines if line["method"] == "agent/runComplete"]
    assert complete["text"] == "Hello there."
    assert complete["stopReason"] == "end_turn"


def test_a_session_is_continued_by_id_by_a_part_of_it_and_by_being_the_last(shell):
    assert shell.run("run", "one").returncode == 0
    (session,) = session_ids(shell)
    assert shell.run("run", "two", "--session", session).returncode == 0
    assert shell.run("run", "three", "--session", session[-6:]).returncode == 0
    assert shell.run("run", "four", "--continue").returncode == 0
    assert session_ids(shell) == [session]
    text = shell.run("sessions", "show", session).stdout
    assert [word in text for word in ("one", "two", "three", "four")] == [True] * 4


def test_a_session_that_is_not_there_is_said_plainly(shell):
    for arguments in (["--session", "nope"], ["--continue"]):
        done = shell.run("run", "hi", *arguments)
        assert done.returncode == 1
        assert "session" in done.stderr


def test_without_a_terminal_nothing_is_allowed_that_would_have_to_be_asked(shell):
    shell.script([VIEW_OUTSIDE], [{"text": "tool said: {{tool_result}}"}])
    (shell.home / "outside.txt").write_text("the secret\n")
    done = shell.run("run", "look outside")
    assert "the secret" not in done.stdout
    assert done.returncode == 0


def test_yes_allows_once_what_is_asked(shell):
    shell.script([VIEW_OUTSIDE], [{"text": "tool said: {{tool_result}}"}])
    (shell.home / "outside.txt").write_text("not so secret\n")
    done = shell.run("run", "look outside", "--yes")
    assert "not so secret" in done.stdout
    assert done.returncode == 0


def test_files_are_edited_in_the_mode_that_allows_it(shell):
    shell.script([{"tool": "write", "input": {"file_path": "new.txt", "content": "made\n"}}], [{"text": "Done."}])
    done = shell.run("run", "make it")
    assert done.returncode == 0
    assert (shell.project / "new.txt").read_text() == "made\n"
    assert "completed" in done.stderr


def test_an_error_of_the_model_s_service_is_told_and_is_status_1(shell):
    shell.script([{"error": {"kind": "Provider", "title": "Bad day", "message": "It rains.", "retryable": False}}])
    done = shell.run("run", "hi")
    assert done.returncode == 1
    assert "It rains." in done.stderr


def test_a_prompt_of_nothing_and_a_file_that_is_not_there_are_refused(shell):
    assert shell.run("run", " ").returncode == 1
    done = shell.run("run", "hi", "--attach", "nowhere.py")
    assert done.returncode == 2
    assert "nowhere.py" in done.stderr
    assert shell.run("run", "hi", "--attach", "x:9-3").returncode == 2


def session_ids(shell: Shell) -> list[str]:
    done = shell.run("sessions", "list")
    assert done.returncode == 0
    return [line.split()[0] for line in done.stdout.splitlines()]
