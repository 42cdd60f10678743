"""Families of networks that compare the digits in the two images of a pair."""
