"""The service: API, client, command line, and the store that workers share."""
