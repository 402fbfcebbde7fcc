"""Benchmarks: lsp-agent as a process beside three floors, in interleaved rounds of one run."""
