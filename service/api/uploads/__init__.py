"""Files that come in: streamed to the store once, hashed on the way."""
