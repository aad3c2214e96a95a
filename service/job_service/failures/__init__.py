"""Describes errors as text, whatever a handler may have raised."""
