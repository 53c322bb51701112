#!/usr/bin/env bash
# Runs COMMAND as root, or as the root of a user namespace with a loopback of its own: network namespaces can be made,
# named and entered there. Where the machine permits neither, it runs all the same, and the tests say what that
# leaves out.
set -euo pipefail

# `ip netns add` writes to /run, which is not ours to write, and goes back to where it came from, which has to be ours.
begin='mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'
alone=(unshare --user --map-root-user --mount --net -- sh -c "$begin" sh)
if [ "$(id -u)" != 0 ] && "${alone[@]}" true 2>/dev/null; then
  exec "${alone[@]}" "$@"
fi
exec "$@"
