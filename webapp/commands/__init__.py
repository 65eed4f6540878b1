"""What `live-inventory` can do besides serving."""
