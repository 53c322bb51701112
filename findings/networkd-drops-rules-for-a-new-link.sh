#!/usr/bin/env bash
# systemd-networkd takes away other programs' policy rules, and their routes without a link, whenever it begins to
# configure one more link; not only when it starts. So where it manages each new interface (a .network file for `en*`),
# an ENI that is attached costs the node the rules of its CNI plugin or VPN, which have nothing to do with that ENI.
# Rules of protocol "kernel" stay, and so do routes by a link and the addresses of other links. A new link that no file
# matches, or one with Unmanaged=yes, costs nothing; nor does carrier that goes and comes back.
# ManageForeignRoutingPolicyRules=no and ManageForeignRoutes=no in networkd.conf keep it from doing so.
#
# Guess beforehand: what is foreign goes when networkd starts, and what comes later is left alone.
# Seen: systemd 252.39 (Debian 12), Linux 6.18; networkd as in a container, with /sys read-only (257.13 of Debian 13 alike):
#   a link came that no file matches: rule yes, kernel's rule yes, blackhole yes, route in table 100 yes
#   a link came that a file matches: rule no, kernel's rule yes, blackhole no, route in table 100 yes
# Needs root (a network namespace and links of its own, all removed at the end), Debian 12's apt, iproute2, and
# the user systemd-network.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
(
  cd "$work"
  apt-get download -qq systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2 2>/dev/null
  for package in *.deb; do dpkg -x "$package" root; done
)
cat >"$work/run.sh" <<'RUN'
set -euo pipefail
work=$1
mount -t sysfs -o ro sysfs /sys # without it networkd waits for udev
for folder in /run /etc/systemd; do mount -t tmpfs tmpfs "$folder"; done
mkdir -p /run/systemd/network /run/systemd/netif/{links,leases,lldp}
chown -R systemd-network /run/systemd/netif
for i in 1 2; do
  printf '[Match]\nName=eni%s\n[Network]\nAddress=10.%s.0.1/24\n' "$i" "$i" >"/run/systemd/network/eni$i.network"
done
plug() {
  ip link add "$1" type veth peer name "far-$1"
  ip link set "far-$1" up
}
addressed() {
  for _ in $(seq 150); do
    [ -z "$(ip -4 addr show "$1" scope global | grep inet)" ] || return 0
    sleep 0.1
  done
  echo "networkd did not configure $1" >&2
  return 1
}
is() { [ -n "$("$@")" ] && echo yes || echo no; }
tell() {
  echo "$1: rule $(is ip rule show pref 100), kernel's rule $(is ip rule show pref 101)," \
    "blackhole $(is ip route show type blackhole), route in table 100 $(is ip route show table 100)"
}
ip link set lo up
plug eni1
shared=$(dirname "$(find "$work/root" -name 'libsystemd-shared-*.so')")
LD_LIBRARY_PATH=$shared "$work/root/lib/systemd/systemd-networkd" >"$work/log" 2>&1 &
trap 'kill %1; wait %1 || true' EXIT
addressed eni1
ip rule add from 10.5.0.1 lookup 100 pref 100
ip rule add from 10.5.0.2 lookup 100 pref 101 protocol kernel
ip route add blackhole 10.77.0.0/24
plug other
ip link set other up
ip route add 10.56.0.0/24 dev far-other table 100
sleep 1 # for what is not to happen
tell "a link came that no file matches"
plug eni2
addressed eni2
tell "a link came that a file matches"
RUN
unshare --net --mount --pid --fork bash "$work/run.sh" "$work" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
a link came that no file matches: rule yes, kernel's rule yes, blackhole yes, route in table 100 yes
a link came that a file matches: rule no, kernel's rule yes, blackhole no, route in table 100 yes
SEEN
