"""Django's backend of PostgreSQL, for processes whose threads share connections."""
