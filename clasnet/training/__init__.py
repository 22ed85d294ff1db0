"""Training: the loop."""
