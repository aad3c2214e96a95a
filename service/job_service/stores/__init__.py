"""Where jobs live: what a store promises, how it keeps a job, and the store in memory."""
