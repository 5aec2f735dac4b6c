"""What happened to a job."""
