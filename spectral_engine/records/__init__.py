"""What is asked for and what is told: pydantic alone, imported by all rooms."""
