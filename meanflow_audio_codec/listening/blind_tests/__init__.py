"""Pages of blind tests: what is heard in them and in which orders."""
