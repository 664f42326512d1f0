"""API keys: their life, what they may do, and how they are used."""
