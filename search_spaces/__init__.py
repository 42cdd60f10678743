"""Search spaces, one file per space, as `ray.tune` domains; without I/O."""
