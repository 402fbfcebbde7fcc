"""The user's files: an overlay of the open documents over the disk, confined to the workspace's roots."""
