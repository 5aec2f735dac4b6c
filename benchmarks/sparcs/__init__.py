"""SPARCS: one Φ over all layers, whose blocks are the skips of a perceptron (arXiv 2504.00885), from its formulas."""
