"""Rows that the original was trained on: whether that is found, and whether what is then said of the drop is true."""
