"""The HTTP server: sockets, TLS, HTTP/1.1, and limits that keep clients from each other."""
