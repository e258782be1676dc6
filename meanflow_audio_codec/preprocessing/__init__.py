"""Signals to tokens and back: MDCT, tokenizers and normalisation, all exact inverse pairs."""
