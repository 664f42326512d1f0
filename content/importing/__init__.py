"""Importing documents from files. What comes in passes the same verbs and validators as what the API takes."""
