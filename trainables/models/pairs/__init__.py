"""Families of networks that compare the two images of a pair."""
