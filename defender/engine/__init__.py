"""Weighs what detectors found into one decision, under bounds. What does not fit into them is a review."""
