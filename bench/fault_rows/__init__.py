"""The rows of `make faults`, by what dies or misbehaves. Importing a module puts its rows into the table."""
