"""What may vary: one file per search space, in `ray.tune` domains, without I/O."""
