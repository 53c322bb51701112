#!/usr/bin/env bash
# botocore does not look at the root of EC2's XML answers. A well-formed page that something on the way (a proxy that
# wants a sign-in) sends with status 200 is, to every caller, a successful answer with nothing in it:
# DescribeNetworkInterfaces "finds" no interface, DeleteNetworkInterface "succeeds". EC2's own empty answer can be told
# apart: it has a request id and the (empty) list; the page has neither.
#
# Guess beforehand: a parse error, since the root is not DescribeNetworkInterfacesResponse.
# Seen: boto3 1.43.117 with its botocore:
#   page:  describe -> no error, NetworkInterfaces absent, request id absent; delete -> no error
#   EC2's: describe -> NetworkInterfaces [], request id r-1
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

import boto3

PAGE = b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Proxy</title></head><body>Sign in</body></html>'
EMPTY = (
    b'<DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    b"<requestId>r-1</requestId><networkInterfaceSet/></DescribeNetworkInterfacesResponse>"
)
answer = PAGE


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
ec2 = boto3.client("ec2", region_name="us-west-2", endpoint_url=f"http://127.0.0.1:{server.server_port}")


def told(got):
    return got.get("NetworkInterfaces", "absent"), got["ResponseMetadata"].get("RequestId", "absent")


page = told(ec2.describe_network_interfaces())
deleted = ec2.delete_network_interface(NetworkInterfaceId="eni-0123456789abcdef0")["ResponseMetadata"]
answer = EMPTY
empty = told(ec2.describe_network_interfaces())
print("boto3", boto3.__version__)
print("page: describe ->", *page, "; delete ->", deleted["HTTPStatusCode"])
print("EC2's: describe ->", *empty)
sys.exit((page, empty, deleted["HTTPStatusCode"]) != (("absent", "absent"), ([], "r-1"), 200))
PY
