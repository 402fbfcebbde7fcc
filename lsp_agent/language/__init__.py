"""Language servers as tools: the editor's own, one of ours, or the syntax tree."""
