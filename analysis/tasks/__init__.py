"""Pictures of one task only."""
