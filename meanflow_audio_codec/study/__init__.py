"""The study: all cells from one command, their scores, and the report."""
