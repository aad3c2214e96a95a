"""The libraries that are compared with: a small script for each, run in its own environment."""
