"""The store in a file of SQLite: jobs survive their process, on one machine and without a server."""
