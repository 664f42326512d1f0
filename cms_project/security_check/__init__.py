"""How safely this installation is run: many small checks of its configuration and its data, and one grade.

A check is one function in one of the modules here. `registry` has the list.
"""
