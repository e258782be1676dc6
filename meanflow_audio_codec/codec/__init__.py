"""What users of the codec touch: bytes, files and pretrained models; knows nothing of training."""
