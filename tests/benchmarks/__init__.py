"""What the project's speed is, measured side by side: `python3 dev.py bench`."""
