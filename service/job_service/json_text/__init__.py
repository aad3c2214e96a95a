"""What JSON text may have in it, and what takes too long to read."""
