"""The methods of the client that blocks, and what carries them out."""
