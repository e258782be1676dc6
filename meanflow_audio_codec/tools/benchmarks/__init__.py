"""Side-by-side timings; each prints one JSON line per case."""
