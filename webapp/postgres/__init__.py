"""PostgreSQL: its address and connections, the schema, the named queries, and the server that we bring."""
