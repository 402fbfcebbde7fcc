"""Reading the web: a guard against private addresses, bounded fetches, HTML as markdown, search."""
