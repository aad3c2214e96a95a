"""What runs a job: workers, threads and processes, and how an attempt is ended."""
