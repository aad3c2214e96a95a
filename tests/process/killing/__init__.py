"""Services that are killed, or stopped, again and again, and whether all who took part agree."""
