"""Metrics: rates and states for Prometheus. Names and labels are read by dashboards: keep them."""

from prometheus_client import Counter, Gauge, Histogram

EC2_CALLS = Counter(
    "nodeeni_ec2_calls_total", "EC2 calls by action and outcome class.", ["action", "outcome"]
)
EC2_UNKNOWN_CODES = Counter(
    "nodeeni_ec2_unknown_codes_total",
    "EC2 error codes that the error table does not know, by HTTP status refused or of unknown outcome.",
    ["action", "code"],
)
EC2_UNREADABLE = Counter(
    "nodeeni_ec2_unreadable_items_total",
    "Items of EC2's answers that lack something, by EC2's name of their shape.",
    ["shape"],
)
EC2_SECONDS = Histogram(
    "nodeeni_ec2_call_seconds",
    "Duration of EC2 calls.",
    ["action"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
EC2_TOKENS = Gauge("nodeeni_ec2_bucket_tokens", "Tokens left in the bucket of an EC2 action.", ["action"])
EC2_WAITING = Gauge("nodeeni_ec2_bucket_waiting", "Calls that wait for a token, by EC2 action.", ["action"])
INTERFACES = Gauge("nodeeni_interfaces", "Network interfaces of this cluster by EC2 status.", ["status"])
ATTACHMENTS = Gauge(
    "nodeeni_attachments",
    "Nodes of a NodeENI by the state of its interface there, as in status.attachments.",
    ["nodeeni", "state"],
)
REMOVALS_HELD = Gauge(
    "nodeeni_removals_held",
    "Nodes whose ENI of a NodeENI stays since many show the same sign: unlabelled, vanished, ownerless.",
    ["nodeeni", "sign"],
)
INVENTORY_AGE = Gauge("nodeeni_inventory_age_seconds", "Age of the last full reading of EC2.")
QUEUE_DEPTH = Gauge("nodeeni_work_queue_depth", "Nodes that wait to be reconciled.")
RECONCILES = Counter("nodeeni_reconciles_total", "Reconciles by result.", ["result"])
ATTACH_SECONDS = Histogram(
    "nodeeni_attach_seconds",
    "From a node's first need of an ENI to its attachment.",
    buckets=(1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600),
)
LINK_UP_SECONDS = Histogram(
    "nodeeni_link_up_seconds",
    "From a node's first need of an ENI to its link being up, as the node's ENI manager reports.",
    buckets=(1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600),
)
NODE_READY_SECONDS = Histogram(
    "nodeeni_node_ready_seconds",
    "From the first sight of a node without its network to the condition NodeENIsReady, or the taint's end.",
    buckets=(1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600),
)
KUBE_WRITES = Counter(
    "nodeeni_kubernetes_writes_total", "Writes to the API server by resource.", ["resource"]
)
CHECKS = Gauge("nodeeni_check_ok", "1 where the check of /readyz finds nothing wrong, else 0.", ["check"])
LEADER = Gauge("nodeeni_leader", "1 while this process holds the lease or needs none.")
ORPHANS = Counter("nodeeni_orphans_swept_total", "Interfaces deleted because their NodeENI is gone.")
