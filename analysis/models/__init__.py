"""Models of exported configurations: trained, written, registered, served, asked."""
