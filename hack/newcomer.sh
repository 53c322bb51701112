#!/usr/bin/env bash
# What a stranger meets: the README's two commands in bare roots of Debian (python3, make, git, ca-certificates), as
# root and as a user who asks root for what is missing. Needs root and mmdebstrap.
# Usage: hack/newcomer.sh [TARGET]...   RELEASES="12 13" WHO="root user" LOGS=FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."

commands=("$@")
[ $# -gt 0 ] || commands=(demo test)
declare -A suites=([12]=bookworm [13]=trixie [testing]=forky)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nodeeni-tools
work=$(mktemp -d "${TMPDIR:-/tmp}/nodeeni-newcomer-XXXXXX")
# What the package clients of this machine are told by its environment, they are told in there.
clients=$(compgen -e | grep -E '^(PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT|PROXY)|GOPROXY|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(https?|no)_proxy|(HTTPS?|NO)_PROXY)$' || true)
logs=$(realpath "${LOGS:-$work}")
trap 'rm -rf "$work"' EXIT

say() { echo "newcomer: $*"; }

# A root of its own for the commands, by pivot_root: in a chroot no user namespace can be made.
inside() { # ROOT USER COMMAND...
  local root=$1 user=$2 variables=() name
  shift 2
  for name in $clients; do variables+=("$name=${!name}"); done
  local home=/root
  [ "$user" = root ] || home=/home/newcomer
  # shellcheck disable=SC2016 # expanded in there
  unshare --mount --pid --fork --propagation private sh -euc '
    root=$1 user=$2
    shift 2
    mount --bind "$root" "$root"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    cd "$root"
    mkdir -p old
    pivot_root . old
    umount -l old
    rmdir old
    cd /
    if [ "$user" = root ]; then exec "$@"; fi
    exec setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"
  ' sh "$root" "$user" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME="$home" \
    "${variables[@]}" sh -euc 'cd "$HOME" && exec "$@"' sh "$@" </dev/null
}

bare_root() { # RELEASE FOLDER
  local archive=$cache/debian-$1.tar
  if [ ! -e "$archive" ]; then
    mkdir -p "$cache"
    # Testing has the newest Python; its lists expire within days where a mirror is not of today.
    mmdebstrap --quiet --aptopt='Acquire::Check-Valid-Until "false"' --format=tar --variant=minbase --include=python3,make,git,ca-certificates "${suites[$1]}" "$archive.new"
    mv "$archive.new" "$archive"
  fi
  mkdir -p "$2"
  tar -xf "$archive" -C "$2" --exclude='./dev/*'
  cp -L /etc/resolv.conf "$2/etc/resolv.conf"
  cp -L /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/ca-certificates.crt"
  cp /etc/apt/apt.conf.d/* "$2/etc/apt/apt.conf.d/"
  [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$2/etc/pip.conf"
}

# COMMAND until it works, doing as root what it asks for, once. Its output goes to LOG.
as_asked() { # ROOT USER LOG COMMAND...
  local root=$1 user=$2 log=$3 asked
  shift 3
  if inside "$root" "$user" "$@" >"$log" 2>&1; then return; fi
  asked=$(sed -n 's/^setup: missing: .*\. As root: //p' "$log")
  if [ "$user" = root ] || [ -z "$asked" ]; then return 1; fi
  say "  asked for: $asked"
  inside "$root" root sh -euc "$asked" >"$log" 2>&1 && inside "$root" "$user" "$@" >"$log" 2>&1
}

result_of() { # TARGET LOG
  case $1 in
  demo) grep -x 'everything came up, and everything is gone again' "$2" ;;
  *) tail -n 1 "$2" | tr -d = ;;
  esac
}

failed=0
for release in ${RELEASES:-12 13}; do
  for user in ${WHO:-root user}; do
    root=$work/$release-$user
    bare_root "$release" "$root"
    home=$root/root
    [ "$user" = root ] || home=$root/home/newcomer
    mkdir -p "$home"
    git clone --quiet . "$home/nodeeni"
    [ "$user" = root ] || { chown -R 1000:1000 "$home" && echo newcomer:x:1000:1000::/home/newcomer:/bin/bash >>"$root/etc/passwd"; }
    for command in "${commands[@]}"; do
      log=$logs/$release-$user-$command.log
      SECONDS=0
      if as_asked "$root" "$user" "$log" make --no-print-directory -C nodeeni "$command" && result=$(result_of "$command" "$log"); then
        say "Debian $release, $user, make $command: $SECONDS s, $result"
        grep -E '^ *left out' "$log" || true
      else
        failed=1
        say "Debian $release, $user, make $command: FAILED after $SECONDS s"
        tail -n 60 "$log"
      fi
    done
    rm -rf "$root"
  done
done
exit $failed
