"""PostgreSQL and SQLite, where the backend keeps its payments in a table."""
