"""Metrics made from listeners' votes, from voices or from words: what comparing spectra does not tell."""
