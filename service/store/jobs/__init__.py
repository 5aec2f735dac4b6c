"""Compression jobs: the rows are the truth."""
