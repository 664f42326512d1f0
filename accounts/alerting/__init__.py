"""Alerts: rules over the log, what they raise, and who is told of it. A consumer of the log with its own position."""
