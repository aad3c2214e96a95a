"""Three processes on one database, under all kinds of faults, and whether what they say agrees."""
