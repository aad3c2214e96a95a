"""What a user writes: handlers, their payloads, and the terms on which they run."""
