"""What a model costs and what it knows, measured on the file that would be deployed."""
