"""Who somebody is, what they may do, and what happened."""
