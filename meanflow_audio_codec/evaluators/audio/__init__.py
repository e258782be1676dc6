"""Metrics of one recording against its original."""
