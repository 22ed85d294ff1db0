"""Inference: a model over videos."""
