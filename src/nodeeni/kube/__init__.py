"""The Kubernetes border: transport, errors, informers, lease, events."""
