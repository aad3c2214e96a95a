"""The commands that ask a running service, for people and for scripts."""
