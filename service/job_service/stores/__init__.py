"""Where jobs live: what a store promises, which submissions it takes, and how it keeps a job."""
