"""The files in which a finished compression is told."""

REPORTS = ("report.json", "report.html", "report.csv")
