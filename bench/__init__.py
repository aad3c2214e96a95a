"""What a job and a request cost, as ratios to the bare stack, measured in one run."""
