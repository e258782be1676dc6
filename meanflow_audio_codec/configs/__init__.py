"""Typed, validated experiment configurations; imports nothing else of this package."""
