"""`nodeeni demo`: the whole of it in a minute, without AWS, a cluster or root.

command   flags, the user namespace, the directory, the exit status
scenes    what happens, in order, each with what must follow from it
sights    what one look at the simulated world shows of each node
observer  compares looks and tells what was reached, and when
screen    lines as it happens, on a terminal with a table of the nodes below them
summary   the numbers at the end, and whether anything is left
"""

from nodeeni.cli.demo.command import main

__all__ = ["main"]
