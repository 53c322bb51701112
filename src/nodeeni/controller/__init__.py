"""The one controller of a cluster: from watch events to EC2 calls and back to status."""
