"""Settings: the user's file, the environment, flags, and project and editor values that may only tighten."""
