#!/usr/bin/env bash
# CNI plugins before 1.6.0 (macvlan, ipvlan, host-device, each that looks a link up) find it by an alternative name of
# up to 15 characters, and by a longer one not: such a name is put where the kernel has room for 15, and each pod fails
# with "numerical result out of range", which names neither the link nor the limit. Their vishvananda/netlink is older
# than 1.3.0. The kernel takes alternative names of up to 127 characters, and `ip` shows the link by them.
#
# Guess beforehand: an alternative name is one, whatever its length.
# Seen: Linux 6.18, iproute2 6.1.0, the plugin macvlan of each version on the same link:
#   1.5.1: fifteen-letters found, sixteen-letters1 numerical result out of range
#   1.6.0: fifteen-letters found, sixteen-letters1 found
# (Debian 12's package, 1.1.1+ds1-3+b5, as 1.5.1, and so its host-device.)
# Needs root (network namespaces and mounts of its own, all removed at the end), iproute2, Go.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
for version in 1.5.1 1.6.0; do
  GOPATH=$work/go GOBIN=$work/$version GOFLAGS= \
    go install "github.com/containernetworking/plugins/plugins/main/macvlan@v$version" 2>"$work/log" ||
    { cat "$work/log" >&2 && exit 1; }
done
cat >"$work/run.sh" <<'RUN'
set -euo pipefail
work=$1
mount -t tmpfs tmpfs /run
ip netns add pod
ip link add ens6 type veth peer name far6
ip link property add dev ens6 altname fifteen-letters altname sixteen-letters1
for version in 1.5.1 1.6.0; do
  told=()
  for name in fifteen-letters sixteen-letters1; do
    ip link show "$name" >/dev/null
    config="{\"cniVersion\": \"0.4.0\", \"name\": \"n\", \"type\": \"macvlan\", \"master\": \"$name\", \"ipam\": {}}"
    export CNI_CONTAINERID=pod CNI_NETNS=/run/netns/pod CNI_IFNAME=net1 CNI_PATH=/nowhere
    answer=$(CNI_COMMAND=ADD "$work/$version/macvlan" <<<"$config") || true
    told+=("$name $(sed -n 's/.*"msg": "\(.*\)".*/\1/p; s/.*"interfaces".*/found/p' <<<"$answer")")
    CNI_COMMAND=DEL "$work/$version/macvlan" <<<"$config"
  done
  echo "$version: ${told[0]}, ${told[1]}"
done
RUN
unshare -n -m bash "$work/run.sh" "$work" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
1.5.1: fifteen-letters found, sixteen-letters1 numerical result out of range
1.6.0: fifteen-letters found, sixteen-letters1 found
SEEN
