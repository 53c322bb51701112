"""Doubles that speak the real protocols on loopback: an API server, an EC2, and nodes' kernels."""
