"""What the agent is told beside the conversation: rules files, skills, custom commands, mentions, the state of git."""
