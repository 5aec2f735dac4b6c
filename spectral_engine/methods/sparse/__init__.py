"""Which links a model keeps: how many in each transfer, in which pattern, and how that changes while it trains."""
