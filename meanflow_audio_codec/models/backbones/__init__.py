"""Networks from (b, n, d) to (b, n, d): ConvNeXt, MLP and MLP-Mixer."""
