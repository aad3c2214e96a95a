"""The dashboard: one page in plain HTML, CSS and JavaScript that shows the service live."""
