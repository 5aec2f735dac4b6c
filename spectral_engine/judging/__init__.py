"""Which candidate is given back, and what may be claimed of it."""
