"""The delivery plane: published content, GET and HEAD only. Imports nothing that can read a draft."""
