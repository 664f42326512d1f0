"""The composition root: settings, URLs by plane, processes, and what every answer has in common."""
