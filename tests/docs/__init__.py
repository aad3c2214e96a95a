"""The pages, as a new user follows them: each sample is run, each name is looked up."""
