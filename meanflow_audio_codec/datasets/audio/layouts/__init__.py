"""Where the sound lies in a file, and whether it ends where the file says: one module per format."""
