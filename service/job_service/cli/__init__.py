"""The command line: what an operator may type, and the commands that do not run a service."""
