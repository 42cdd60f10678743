"""Tasks: what a model learns. Base classes, kinds of tasks, and one file per built-in task."""
