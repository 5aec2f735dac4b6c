"""What the inputs mean to a model."""
