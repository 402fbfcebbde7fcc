"""A journal of every hunk: review, undo, redo, checkpoints."""
