"""Bundles: chosen entries on their way to another house, signed, with their ids."""
