"""What the service says of itself: its events, and what listens to them."""
