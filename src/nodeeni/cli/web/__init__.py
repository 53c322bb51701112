"""The sandbox's page: nodes, ENIs and EC2's limit, live, in a browser on this machine.

server    loopback alone: the page, and its data as JSON
data      one moment as JSON
curve     attached over time, beside what EC2 allows
page.html all of the page; nothing else is loaded
"""

from nodeeni.cli.web.server import add_flag, shown

__all__ = ["add_flag", "shown"]
