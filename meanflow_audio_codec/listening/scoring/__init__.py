"""What listeners answered: reading it, scores with intervals, tables and figures."""
