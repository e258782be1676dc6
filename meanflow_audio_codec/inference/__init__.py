"""Trained models from their folders, and what is asked of them: pretrained models, sampling, options of decoding."""
