"""The server: its processes, and the bounds of what a connection may take."""
