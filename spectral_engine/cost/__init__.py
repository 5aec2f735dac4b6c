"""What a model costs, what it may cost, and what must go for that."""
