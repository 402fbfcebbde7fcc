"""What the model can do: one file a tool, joined in `registry`."""
