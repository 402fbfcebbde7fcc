"""The nouns everyone shares: plain data, standard library only, no await, no I/O."""
