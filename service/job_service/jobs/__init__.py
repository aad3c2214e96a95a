"""What a job is, its states, its store, its backlog and its workers."""
