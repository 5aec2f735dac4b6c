"""Processes that are started beside this one: a queue of our own, and commands that are kept running."""
