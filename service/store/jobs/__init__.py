"""Compressions and analyses: the rows are the truth."""
