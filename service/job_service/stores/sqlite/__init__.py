"""The store in one SQLite file, for jobs that must outlive their process on one machine."""
