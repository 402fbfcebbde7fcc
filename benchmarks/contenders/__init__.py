"""The floors: the least a server can do that forwards a model's answer over the same wire, in three ways."""
