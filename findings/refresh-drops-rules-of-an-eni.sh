#!/usr/bin/env bash
# amazon-ec2-net-utils asks instance metadata every minute which addresses and prefixes each ENI has, and takes "no
# answer" for "none". One refresh at which metadata cannot be had (here it answers 503) empties the file of the ENI's
# policy rules and that of its further addresses, and has networkd reloaded; the unit succeeds, and nothing above
# `info` is logged. From then on what the node sends from those addresses leaves by the primary interface, where EC2
# drops it, until a later refresh is answered.
#
# Guess beforehand: what was set stays until metadata answers.
# Seen: amazon-ec2-net-utils 2.3.0 (Debian 12), instance metadata by a server in the namespace:
#   answered: rules from 10.0.0.6 10.0.0.16 10.0.0.32/28, address 10.0.0.16/32, status 0, networkctl reload
#   503: rules from none, address none, status 0, networkctl reload
#   answered again: rules from 10.0.0.6 10.0.0.16 10.0.0.32/28, address 10.0.0.16/32, status 0, networkctl reload
# Needs root (a network namespace with a veth pair, and mounts of its own, all removed at the end), Debian 12's apt and
# systemd, curl.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get download -qq amazon-ec2-net-utils=2.3.0-3 2>/dev/null && dpkg -x ./*.deb root)
cat >"$work/metadata.py" <<'PY'
import http.server
import pathlib
import subprocess
import sys

AWAY = pathlib.Path(sys.argv[1])
MAC = pathlib.Path("/sys/class/net/ens6/address").read_text().strip()
ENI = {
    "device-number": "1",
    "interface-id": "eni-6",
    "local-ipv4s": "10.0.0.6\n10.0.0.16",
    "ipv4-prefix": "10.0.0.32/28",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(503 if AWAY.exists() else 404 if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def do_PUT(self):
        self.answer("token")

    def do_GET(self):
        path = self.path.removeprefix("/latest/meta-data/")
        own = path.removeprefix(f"network/interfaces/macs/{MAC}/")
        self.answer("02:00:00:00:00:01" if path == "mac" else ENI.get(own))

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("169.254.169.254", 80), Handler)
print("ready", flush=True)
server.serve_forever()
PY
mkdir "$work/bin" "$work/run"
printf '#!/bin/sh\necho "$@" >>%s/reloads\n' "$work" >"$work/bin/networkctl"
printf '#!/bin/sh\n' | tee "$work/bin/logger" >"$work/bin/wait-online"
chmod +x "$work/bin/"*
cat >"$work/run.sh" <<'RUN'
set -euo pipefail
work=$1
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount --bind "$work/bin/wait-online" /lib/systemd/systemd-networkd-wait-online
mount --bind "$work/root/usr/lib/systemd/network" /usr/lib/systemd/network
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
ip link add ens6 type veth peer name far6
exec 3< <(exec python3 "$work/metadata.py" "$work/away")
server=$!
trap 'kill "$server"' EXIT
read -r _ <&3
refresh() {
  local status=0 rules addresses conf=/run/systemd/network/70-ens6.network.d
  PATH="$work/bin:$PATH" LIBDIR_OVERRIDE="$work/root/usr/share/amazon-ec2-net-utils" \
    "$work/root/usr/bin/setup-policy-routes" ens6 start 2>/dev/null || status=$?
  rules=$(sed -n 's/^From=//p' "$conf/ec2net_policy_4.conf" | xargs)
  addresses=$(sed -n 's/^Address=//p' "$conf/ec2net_alias.conf" | xargs)
  echo "$1: rules from ${rules:-none}, address ${addresses:-none}, status $status, networkctl $(xargs <"$work/reloads")"
  : >"$work/reloads"
}
: >"$work/reloads"
refresh answered
touch "$work/away"
refresh 503
rm "$work/away"
refresh "answered again"
RUN
unshare -n -m bash "$work/run.sh" "$work" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
answered: rules from 10.0.0.6 10.0.0.16 10.0.0.32/28, address 10.0.0.16/32, status 0, networkctl reload
503: rules from none, address none, status 0, networkctl reload
answered again: rules from 10.0.0.6 10.0.0.16 10.0.0.32/28, address 10.0.0.16/32, status 0, networkctl reload
SEEN
