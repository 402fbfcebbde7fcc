"""Running commands: one place that starts processes, the jobs they are, and the walls around them."""
