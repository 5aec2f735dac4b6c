"""What ranks nodes: each file is one score, and registers itself under its own name."""
