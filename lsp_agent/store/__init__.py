"""Who remembers: SQLite, its in-memory twin, and the lock of the data directory."""
