"""Locales and collections as code."""
