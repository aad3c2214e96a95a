"""Who may come in: tokens, their roles, and the file that has them."""
