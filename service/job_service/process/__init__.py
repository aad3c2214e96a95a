"""The process around the service: its signals, its first steps and its end, and what it watches."""
