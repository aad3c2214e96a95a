"""The HTTP edge: sockets, TLS and Hypercorn's protocols, with the guards these lack."""
