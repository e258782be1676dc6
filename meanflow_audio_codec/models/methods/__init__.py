"""Losses and step rules of the methods under study."""
