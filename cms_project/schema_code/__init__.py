"""Schema and access as code: one YAML file that says how a house is set up, its plan, and applying it."""
