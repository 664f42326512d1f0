"""Keys that preview tokens are signed with: their life, and what every process holds of them."""
