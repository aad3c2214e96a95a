"""`job-service demo`: a make-believe shop that shows the service at work."""
