"""Tables and arrays of the user's own: read, inferred, cut and encoded."""
