"""`nodeeni doctor`: is everything there that the controller needs, and is anything left behind?

command      flags, order of the checks, exit status
kubernetes   API server, custom resources, permissions
deletions    custom resources that are being deleted and do not go
links        names of links that came out wrong, as the ENI managers report
pods         CNI files of the nodes, and addresses for pods, as the ENI managers report
ec2          region, credentials, IAM by dry runs
leftovers    interfaces in EC2 that nothing owns, or that older versions made
tracking     connection tracking of the nodes' instance types
"""

from nodeeni.cli.doctor.command import main

__all__ = ["main"]
