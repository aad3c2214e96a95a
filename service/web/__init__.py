"""HTTP: the app with its routes and errors, and the server it runs on."""
