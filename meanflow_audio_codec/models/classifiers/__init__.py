"""Classifiers of digits and of spoken words, for evaluation only."""
