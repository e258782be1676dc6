"""Piece by piece: audio to packets as it arrives, packets to audio, and what stands in for lost ones."""
