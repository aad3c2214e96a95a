"""The methods of the client that awaits, and what carries them out."""
