"""Rows that the original was trained on: what is said of them, signs of it, and a comparison that is fair."""
