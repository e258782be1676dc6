"""What training and decoding could be otherwise, and what that would score."""
