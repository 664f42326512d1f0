"""Previews: signing keys, preview tokens, the handoff to a frontend, and draft reads."""
