"""Other codecs on the same clips, as reference points."""
