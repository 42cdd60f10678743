"""Spaces for images of any size and number of channels."""
