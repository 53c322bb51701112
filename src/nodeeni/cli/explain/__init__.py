"""`nodeeni explain`: why a node, a NodeENI or an ENI has, or has not, what it should.

command     flags, what is read
subject     what the name is of
selecting   labels against selectors, one by one
whose       whose an ENI is, and by what evidence
standings   each NodeENI on each node: EC2's truth, the controller's words, the ENI manager's words
history     what happened, in order of time
page        all of it about one subject
shown       how it is printed
"""

from nodeeni.cli.explain.command import main

__all__ = ["main"]
