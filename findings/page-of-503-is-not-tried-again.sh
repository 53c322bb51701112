#!/usr/bin/env bash
# botocore tries a 503 again, unless it has a body that is no XML, such as the page or the line of text of a proxy or a
# load balancer in between: then it raises ResponseParserError at once, whose text says "Further retries may succeed".
# The error is no ClientError, so that code which waits for those lets it pass. The same status with an empty body, or
# with a page that happens to be well-formed, is tried again. aws-sdk-go-v2 (service/ec2 1.347.0) tries all of them again.
#
# Guess beforehand: the status decides, so each of them is tried as often as the mode of retries says.
# Seen: boto3 1.43.117 with its botocore, DescribeNetworkInterfaces, tries:
#   legacy:   /empty 5, /page 5 (well-formed), /text 1 (ResponseParserError)
#   standard: /empty 3, /page 3, /text 1 (ResponseParserError)
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
from botocore.config import Config

BODIES = {
    "/empty": b"",
    "/page": b"<html><body>Service unavailable</body></html>",
    "/text": b"upstream connect error",
}
tries = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global tries
        tries += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        body = BODIES[self.path.rstrip("/")]
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("boto3", boto3.__version__)
seen = {}
for mode in ("legacy", "standard"):
    for path in BODIES:
        url = f"http://127.0.0.1:{server.server_port}{path}"
        ec2 = boto3.client("ec2", region_name="us-west-2", endpoint_url=url, config=Config(retries={"mode": mode}))
        tries = 0
        try:
            ec2.describe_network_interfaces()
        except Exception as error:  # which one is what is looked at
            seen[mode, path] = tries, type(error).__name__
        print(mode, path, *seen[mode, path])
sys.exit(
    seen
    != {
        ("legacy", "/empty"): (5, "ClientError"),
        ("legacy", "/page"): (5, "ClientError"),
        ("legacy", "/text"): (1, "ResponseParserError"),
        ("standard", "/empty"): (3, "ClientError"),
        ("standard", "/page"): (3, "ClientError"),
        ("standard", "/text"): (1, "ResponseParserError"),
    }
)
PY
