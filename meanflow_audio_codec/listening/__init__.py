"""Pages to listen with: versions of a recording side by side, and blind tests with their scores."""
