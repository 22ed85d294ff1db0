"""Annotations, features, the feature store, training batches, synthetic twins."""
