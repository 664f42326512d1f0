"""The delivery API of content."""
