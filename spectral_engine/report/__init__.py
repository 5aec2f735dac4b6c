"""The report: its schema, and its forms as HTML, CSV and terminal table."""
