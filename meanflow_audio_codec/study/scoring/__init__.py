"""What the cells of the study are scored by."""
