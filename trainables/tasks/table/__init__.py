"""The user's own tables and arrays: reading, type inference, hold-out and encoding."""
