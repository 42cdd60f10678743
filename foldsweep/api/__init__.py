"""What a script or a notebook calls: a face over `sweeps` and `analysis`, nothing of its own."""
