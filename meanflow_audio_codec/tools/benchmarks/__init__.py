"""Programs that measure and print: each file's first lines say what, and by which command."""
