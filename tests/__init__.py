"""Tests of foldsweep. A package of its own, since another distribution also has a `tests`."""
