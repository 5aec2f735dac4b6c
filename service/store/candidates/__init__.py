"""Compressed models of a job."""
