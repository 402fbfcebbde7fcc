"""The command line: serve, run, sessions, doctor, schema, config, demo."""
