"""Live Inventory: a stock dashboard that PostgreSQL keeps up to date in every open browser."""

__version__ = "0.1.0"
