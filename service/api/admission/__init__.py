"""Who is let in, on whose behalf, and to what."""
