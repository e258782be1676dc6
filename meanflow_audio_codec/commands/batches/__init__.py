"""Many files in one command: several processes, what is kept, skipped, refused and reported."""
