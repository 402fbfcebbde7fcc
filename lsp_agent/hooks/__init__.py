"""The user's own commands around tools and prompts, in the format of Claude Code."""
