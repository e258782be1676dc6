"""Metrics on signals, rates and samples, with their uncertainty."""
