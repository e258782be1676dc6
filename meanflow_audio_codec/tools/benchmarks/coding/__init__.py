"""Bits: where they go, and what else could be had for them."""
