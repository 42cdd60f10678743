"""What a trial computes: data, models, fold stacks and the Ray Tune trainables on top.

Importing this package imports neither torch nor ray; its modules do as they need them.
"""
