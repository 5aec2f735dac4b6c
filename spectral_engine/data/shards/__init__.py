"""Shards: `.tar` archives with one sample after another, as WebDataset lays them out, read by their numbers."""
