"""The APIs of previews: the handoff and draft reads on the edge, sites and the register on management."""
