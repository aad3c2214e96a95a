"""The examples of the documentation, each of which a test imports from its folder."""
