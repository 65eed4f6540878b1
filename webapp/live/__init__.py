"""Live views: what was committed, which views it concerns, and the difference that brings pages there."""
