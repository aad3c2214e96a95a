"""The dashboard: one page that shows the service live, of plain HTML, CSS and JavaScript."""
