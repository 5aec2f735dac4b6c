"""Input relevance against its peers, by deletion curves."""
