"""What is written and read: collections, entries, versions, publishing, delivery."""
