"""Tasks: what is learned. The nouns, kinds of tasks, and a file for each task that ships."""
