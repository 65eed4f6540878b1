"""Running it: how it does, what is wrong, and what is kept."""
