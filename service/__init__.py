"""Eigenpress as a service: what API and worker share, the REST API, the client, the command line."""
