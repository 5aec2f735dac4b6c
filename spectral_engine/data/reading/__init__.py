"""From a file as people have it to arrays by name: told by its first bytes, bounded, and refused by what is wrong."""
