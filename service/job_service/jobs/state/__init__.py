"""What a job is: its states, the moves between them, and what is kept of it."""
