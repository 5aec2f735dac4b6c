"""`prune`: remove nodes until a target is met."""
