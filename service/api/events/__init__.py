"""What happened to a job, as pages and as a stream."""
