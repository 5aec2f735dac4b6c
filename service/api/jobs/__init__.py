"""Compression jobs: create, watch, list, cancel."""
