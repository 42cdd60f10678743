"""Small neural-network library without autograd; all backward passes are handwritten."""
