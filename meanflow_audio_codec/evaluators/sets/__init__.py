"""Distances between sets of features: Frechet and kernel distance, precision and recall."""
