"""A job service you can see through."""
