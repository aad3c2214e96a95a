"""What brings a job to a worker: the queue that takes it, the backlog, and its turn."""
