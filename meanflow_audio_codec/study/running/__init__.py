"""Cells of the study on several processes."""
