from lsp_agent.server.provided import MAX_SESSIONS, LastChanges


def update(*hunks: tuple[str | None, str]):
    return {
        "sessionUpdate": "changes_update",
        "files": [{"uri": "file:///a", "hunks": [{"runId": run_id, "state": state} for run_id, state in hunks]}],
    }


def test_the_run_that_changed_files_last_is_known_by_session():
    last = LastChanges()
    last.note("s1", update(("r1", "pending")))
    last.note("s2", update(("r2", "pending")))
    last.note("s1", update(("r3", "pending"), (None, "pending")))
    last.note("s1", update(("r1", "rejected")))
    last.note("s1", {"sessionUpdate": "notice"})
    assert (last.of("s1"), last.of("s2"), last.of("s3")) == ("r3", "r2", None)


def test_only_so_many_sessions_are_remembered():
    last = LastChanges()
    for number in range(MAX_SESSIONS + 1):
        last.note(f"s{number}", update(("r", "pending")))
    assert (last.of("s0"), last.of("s1")) == (None, "r")
