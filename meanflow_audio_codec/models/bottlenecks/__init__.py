"""Latents to codes and back: FSQ, residual FSQ and RVQ."""
