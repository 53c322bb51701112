"""`nodeeni status`: what each node has and what is wrong, from the API server alone.

command   flags, what is read, how it is printed
lines     one line for each NodeENI on a node
wrong     what of that is to be looked at
"""

from nodeeni.cli.status.command import main

__all__ = ["main"]
