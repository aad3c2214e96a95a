"""What brings a job to a worker: admission, its place in the backlog, and its turn."""
