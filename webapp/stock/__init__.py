"""The stock: items, what may be done with them, what was done, and what of it is looked at."""
