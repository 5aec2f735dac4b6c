"""Analyses: what could be removed from a model, without data and without training."""
