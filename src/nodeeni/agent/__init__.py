"""The ENI manager of one node: from its ENINode to the kernel's links. Standard library only."""
