"""The compressed models that a job made."""
