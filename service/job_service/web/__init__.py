"""HTTP: the app with its routes and errors, and the edge it is served on."""
