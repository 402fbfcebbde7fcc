-- Schema 1 of the session database. Times are milliseconds since the epoch, JSON columns hold UTF-8 text.
-- A change is a new numbered script in migrations.py, never an edit of this file.

PRAGMA application_id = 1280524615;  -- "LSAG"

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE sessions (
    session_id          TEXT PRIMARY KEY,
    title               TEXT NOT NULL,
    title_is_users      INTEGER NOT NULL DEFAULT 0,
    parent_session_id   TEXT REFERENCES sessions (session_id) ON DELETE CASCADE,
    parent_tool_call_id TEXT,
    root                TEXT,
    prompt_tokens       INTEGER NOT NULL DEFAULT 0,
    completion_tokens   INTEGER NOT NULL DEFAULT 0,
    cost_usd            REAL    NOT NULL DEFAULT 0,
    estimated_usage     INTEGER NOT NULL DEFAULT 0,
    summary_message_id  TEXT,
    todos               BLOB NOT NULL,
    options             BLOB NOT NULL,
    created_at_ms       INTEGER NOT NULL,
    updated_at_ms       INTEGER NOT NULL,
    message_count       INTEGER NOT NULL DEFAULT 0,
    seq                 INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX sessions_recent ON sessions (updated_at_ms, session_id) WHERE parent_session_id IS NULL;
CREATE INDEX sessions_parent ON sessions (parent_session_id) WHERE parent_session_id IS NOT NULL;

-- `position` is the order of a conversation. It is neither the id nor the time: a prompt that waited in the queue has
-- an older id than the answer it is put after.
CREATE TABLE messages (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id    TEXT NOT NULL UNIQUE,
    session_id    TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    role          TEXT NOT NULL,
    parts         BLOB NOT NULL,
    model         TEXT,
    provider      TEXT,
    is_summary    INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    run_key       TEXT
);
CREATE INDEX messages_session ON messages (session_id);

CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    UPDATE sessions
       SET message_count = message_count + 1, updated_at_ms = max(updated_at_ms, NEW.created_at_ms)
     WHERE session_id = NEW.session_id;
END;
CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
    UPDATE sessions SET message_count = message_count - 1 WHERE session_id = OLD.session_id;
END;

-- Ids of dropped messages, so that a save that comes late does not bring one back.
CREATE TABLE dropped_messages (message_id TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE runs (
    run_key        TEXT PRIMARY KEY,
    session_id     TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    run_id         TEXT UNIQUE,
    state          TEXT NOT NULL CHECK (state IN ('queued', 'running', 'folded', 'done')),
    stop_reason    TEXT,
    terminal_seq   INTEGER,
    into_key       TEXT,
    content_hash   TEXT NOT NULL,
    prompt         TEXT NOT NULL,
    body           BLOB NOT NULL,
    accepted_at_ms INTEGER NOT NULL,
    position       INTEGER NOT NULL
);
CREATE INDEX runs_session ON runs (session_id);
CREATE INDEX runs_position ON runs (position);
CREATE INDEX runs_unfinished ON runs (state, position) WHERE state <> 'done';

CREATE TABLE events (
    session_id  TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    payload     BLOB NOT NULL,
    terminal_of TEXT,
    PRIMARY KEY (session_id, seq)
);
-- The database itself says "at most one terminal event a run".
CREATE UNIQUE INDEX events_one_terminal ON events (terminal_of) WHERE terminal_of IS NOT NULL;

CREATE TABLE files (
    session_id    TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    path          TEXT NOT NULL,
    version       INTEGER NOT NULL,
    content       BLOB NOT NULL,
    run_key       TEXT,
    tool_call_id  TEXT,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (session_id, path, version)
);

CREATE TABLE read_files (
    session_id   TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    path         TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    version      INTEGER,
    read_at_ms   INTEGER NOT NULL,
    PRIMARY KEY (session_id, path)
) WITHOUT ROWID;

CREATE TABLE grants (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id    TEXT REFERENCES sessions (session_id) ON DELETE CASCADE,
    root          TEXT,
    tool          TEXT NOT NULL,
    pattern       TEXT NOT NULL,
    allow         INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
);
CREATE INDEX grants_session ON grants (session_id) WHERE session_id IS NOT NULL;
