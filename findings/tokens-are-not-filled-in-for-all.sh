#!/usr/bin/env bash
# botocore fills in the ClientToken of an EC2 call where the caller gives none, so that a call whose answer was lost can
# be tried again and is done once; but for 16 of the 112 calls that have one it does not, CreateVpcEndpoint and
# AllocateHosts among them. It tries those again all the same: each try is a request of its own to EC2, which makes a
# second endpoint (with network interfaces of its own in the subnets) or a second host, of which the caller never hears.
# Whoever makes the EC2 endpoint of a private cluster gives the token himself. CreateNetworkInterface has one.
#
# Guess beforehand: a ClientToken that is left out is filled in, whatever the call.
# Seen: boto3 1.43.117 with its botocore, against a server that cuts the first try of each call without an answer:
#   CreateNetworkInterface: 2 tries, one token
#   CreateVpcEndpoint: 2 tries, no token
#   AllocateHosts: 2 tries, no token
#   16 of 112 calls that have a ClientToken are sent without one
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check boto3==1.43.117 botocore==1.43.117
export AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example AWS_EC2_METADATA_DISABLED=true
"$work/venv/bin/python" - <<'PY'
import http.server
import sys
import threading
import urllib.parse

import boto3

tokens = {}  # action → the token of each try, None where it has none


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        (action,) = asked["Action"]
        tries = tokens.setdefault(action, [])
        tries.append(asked.get("ClientToken", [None])[0])
        if len(tries) == 1:
            self.close_connection = True
            return
        answer = (
            f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>'
            f"</{action}Response>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("boto3", boto3.__version__)
ec2 = boto3.client("ec2", region_name="us-west-2", endpoint_url=f"http://127.0.0.1:{server.server_port}")
ec2.create_network_interface(SubnetId="subnet-1")
service = "com.amazonaws.us-west-2.ec2"
ec2.create_vpc_endpoint(VpcId="vpc-1", ServiceName=service, VpcEndpointType="Interface", SubnetIds=["subnet-1"])
ec2.allocate_hosts(AvailabilityZone="us-west-2a", InstanceType="m5.large", Quantity=1)
seen = {}
for action, sent in tokens.items():
    distinct = set(sent)
    which = "no token" if distinct == {None} else "one token" if len(distinct) == 1 else f"{len(distinct)} tokens"
    seen[action] = len(sent), which
    print(f"{action}: {len(sent)} tries, {which}")
model = ec2.meta.service_model
inputs = [model.operation_model(name).input_shape for name in model.operation_names]
having = [shape.members["ClientToken"] for shape in inputs if shape and "ClientToken" in shape.members]
bare = sum("idempotencyToken" not in member.metadata for member in having)
print(f"{bare} of {len(having)} calls that have a ClientToken are sent without one")
expected = {
    "CreateNetworkInterface": (2, "one token"),
    "CreateVpcEndpoint": (2, "no token"),
    "AllocateHosts": (2, "no token"),
}
sys.exit(seen != expected or (bare, len(having)) != (16, 112))
PY
