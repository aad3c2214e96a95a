"""What an application writes: handlers, their payloads, and the terms on which they run."""
