"""From published archives to a folder with a manifest: downloads, checksums, unpacking."""
