"""Live Inventory: a stock dashboard that PostgreSQL keeps up to date in every open browser."""
