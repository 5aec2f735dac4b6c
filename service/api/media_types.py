"""Media types that are named in more than one place."""

OCTETS = "application/octet-stream"
PROBLEM = "application/problem+json"
