"""Recordings of any length in flat memory: whole files, parts of them, and whether they decode."""
