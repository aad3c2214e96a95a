"""What errors are, and what is told of them; they may be anything that a handler can raise."""
