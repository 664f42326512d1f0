"""The manage API of content."""
