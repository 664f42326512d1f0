"""Measurements: `make bench` prints them as one table of ratios."""
