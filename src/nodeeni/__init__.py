"""nodeeni: extra network interfaces (ENIs) for Kubernetes nodes in AWS."""
