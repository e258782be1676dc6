"""One module per command of `meanflow-codec`."""
