"""The commands of `nodeeni`: a new one is named here."""

# Command → module, and what `nodeeni --help` says of it.
COMMANDS = {
    "controller": ("nodeeni.cli.controller", "run the controller: one for each cluster"),
    "manager": ("nodeeni.agent.app", "run the ENI manager: one on each node"),
    "demo": ("nodeeni.cli.demo", "see it work in a minute, without AWS and without a cluster"),
    "sandbox": ("nodeeni.cli.sandbox", "keep a local API server and EC2 running, to play with"),
    "status": ("nodeeni.cli.status", "show what each node has and what is wrong"),
    "plan": ("nodeeni.cli.plan", "show what the controller would do, without doing it"),
    "explain": ("nodeeni.cli.explain", "tell why a node, a NodeENI or an ENI is as it is"),
    "nad": ("nodeeni.cli.nad", "print what pods need to join a NodeENI's network"),
    "doctor": ("nodeeni.cli.doctor", "check credentials, permissions and leftovers"),
    "adopt": ("nodeeni.cli.adopt", "take over an ENI of v1.x that no status names"),
    "cleanup": ("nodeeni.cli.cleanup", "remove the ENIs of a cluster that is gone"),
    "completion": ("nodeeni.cli.completion", "print the script by which a shell completes all this"),
    "version": ("nodeeni.cli.version", "tell the version, and that of Python"),
}
