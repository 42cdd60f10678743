"""Tests; a package, since another distribution brings one of that name."""
