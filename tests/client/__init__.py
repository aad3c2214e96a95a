"""The client in Python, and what it makes of answers."""
