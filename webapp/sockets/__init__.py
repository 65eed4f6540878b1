"""WebSockets in a few hundred bytes each: how a client is reached, and what it may do."""
