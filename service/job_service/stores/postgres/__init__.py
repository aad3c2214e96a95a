"""The store in PostgreSQL, for one job service of many processes on many machines."""
