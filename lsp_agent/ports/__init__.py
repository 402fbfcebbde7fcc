"""What the agent needs of the world: one Protocol a file, with its promises and its errors."""
