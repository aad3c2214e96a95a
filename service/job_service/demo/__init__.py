"""`job-service demo`: a make-believe shop, for whoever wants to see the service at work at once."""
