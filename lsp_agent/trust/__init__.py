"""Which workspaces may be read, obeyed and run, and what of them."""
