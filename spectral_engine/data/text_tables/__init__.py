"""What stands in the lines of a text table: encoding, dialect, numbers."""
