"""Other codecs on the same recordings: Opus and Lyra."""
