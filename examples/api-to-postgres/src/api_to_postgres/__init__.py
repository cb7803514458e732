"""Orders from an API in a PostgreSQL database, with retries."""
