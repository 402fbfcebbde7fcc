"""The embedded engine: a model in a child process, its weights, and constrained mode."""
