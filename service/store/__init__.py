"""Records, artifacts and their repositories: what API and workers share."""
