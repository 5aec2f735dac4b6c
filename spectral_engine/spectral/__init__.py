"""The spectral parametrization, and the relevance that it gives to nodes."""
