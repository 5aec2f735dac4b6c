"""The report of a job, as JSON, HTML or CSV."""
