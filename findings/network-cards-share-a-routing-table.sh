#!/usr/bin/env bash
# amazon-ec2-net-utils gives each ENI a routing table of its own, numbered by its device index alone. EC2 counts that
# index on each network card anew, so on a type with two cards (p4d, c6in.32xlarge) the ENI with index 1 on card 0 and
# the one with index 1 on card 1 get the same table: both default routes lie in it, and packets from the addresses of
# one leave by the other, where EC2 drops them. The second has no alternative name `device-number-1` either, and
# nothing is told. Debian 13's version, 2.4.1, numbers them the same way.
#
# Guess beforehand: each ENI has a table of its own.
# Seen: amazon-ec2-net-utils 2.3.0 (Debian 12), instance metadata by a server in the namespace:
#   ens6, card 0, device 1: table 10001, metric 522, altname device-number-1
#   ens7, card 1, device 1: table 10001, metric 522, altname none
# Needs root (a network namespace with two veth pairs of its own, all removed at the end), Debian 12's apt, curl.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get download -qq amazon-ec2-net-utils=2.3.0-3 2>/dev/null && dpkg -x ./*.deb root)
cat >"$work/metadata.py" <<'PY'
import http.server
import json
import subprocess

MACS = {link["ifname"]: link["address"] for link in json.loads(subprocess.check_output(["ip", "-j", "link"]))}
ENIS = {
    MACS[name]: {"device-number": "1", "network-card": card, "local-ipv4s": address, "interface-id": f"eni-{card}"}
    for name, card, address in (("ens6", "0", "10.0.0.6"), ("ens7", "1", "10.0.0.7"))
}


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def do_PUT(self):
        self.answer("token")

    def do_GET(self):
        path = self.path.removeprefix("/latest/meta-data/").split("/")
        if path[:3] == ["network", "interfaces", "macs"]:
            self.answer(ENIS[path[3]].get(path[4]))
        else:
            self.answer("02:00:00:00:00:01" if path == ["mac"] else None)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("169.254.169.254", 80), Handler)
print("ready", flush=True)
server.serve_forever()
PY
cat >"$work/run.sh" <<'RUN'
set -euo pipefail
work=$1
ip link set lo up
ip addr add 169.254.169.254/32 dev lo
for i in 6 7; do ip link add "ens$i" type veth peer name "far$i"; done
exec 3< <(exec python3 "$work/metadata.py")
server=$!
trap 'kill "$server"' EXIT
read -r _ <&3
unitdir=$work/units
. "$work/root/usr/share/amazon-ec2-net-utils/lib.sh"
logger() { :; }
for iface in ens6 ens7; do
  ether=$(ip -o link show "$iface" | sed -E 's/.*ether ([0-9a-f:]+).*/\1/')
  setup_interface "$iface" "$ether" >/dev/null 2>&1
  conf=$(cat "$unitdir/70-$iface.network.d/"*.conf)
  table=$(sed -n 's/^RouteTable=//p' <<<"$conf" | sort -u)
  metric=$(sed -n 's/^RouteMetric=//p' <<<"$conf" | sort -u)
  altname=$(ip link show "$iface" | sed -n 's/.*altname \(device.*\)/\1/p')
  echo "$iface: table $table, metric $metric, altname ${altname:-none}"
done
RUN
unshare -n bash "$work/run.sh" "$work" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
ens6: table 10001, metric 522, altname device-number-1
ens7: table 10001, metric 522, altname none
SEEN
