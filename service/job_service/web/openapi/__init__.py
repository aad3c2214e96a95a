"""The API, described: the OpenAPI document of one service, and the page that shows it."""
