"""Recordings: reading, writing, folders of them, and packs for quick access."""
