-- Schema 2: the journal of changes, the texts it names, and messages a restored checkpoint has set aside.

-- `data` is the text's UTF-8, deflated; `text_id` is its SHA-256 in hex.
CREATE TABLE texts (
    text_id TEXT PRIMARY KEY,
    data    BLOB NOT NULL
);

CREATE TABLE journal (
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id    TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    entry_id      TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    body          BLOB NOT NULL,
    message_ids   BLOB,
    created_at_ms INTEGER NOT NULL
);
CREATE INDEX journal_session ON journal (session_id, position);

-- Which session has named a text: a text goes with the last session that did.
CREATE TABLE journal_texts (
    session_id TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    text_id    TEXT NOT NULL REFERENCES texts (text_id),
    PRIMARY KEY (session_id, text_id)
) WITHOUT ROWID;
CREATE INDEX journal_texts_text ON journal_texts (text_id);

-- Rows of `messages`, unchanged, that are not part of the conversation for now.
CREATE TABLE hidden_messages (
    position      INTEGER PRIMARY KEY,
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
CREATE INDEX hidden_messages_session ON hidden_messages (session_id);
