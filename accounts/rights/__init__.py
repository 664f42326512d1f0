"""Giving and taking rights, and saying in words what they allow."""
