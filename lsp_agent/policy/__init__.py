"""Allow, ask or deny: pure rules over what a tool wants to do."""
