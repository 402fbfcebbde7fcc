"""The user's commands around tools and prompts: read, chosen, run, and understood."""
