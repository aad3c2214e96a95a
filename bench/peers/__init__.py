"""The libraries that ours is compared with: a small script each, in its own environment."""
