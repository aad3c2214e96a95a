"""What a job is, what a user writes of it, what brings it to a worker, and what runs it."""
