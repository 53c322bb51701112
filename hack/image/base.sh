#!/usr/bin/env bash
# The image's system, laid out in ROOT from Debian's own signed packages: an interpreter, what it links to,
# and certificate authorities. No shell, no package program, no set-uid file.
# Usage: hack/image/base.sh ROOT (on Debian 12; its architecture is the image's)
set -euo pipefail

root=$1
packages=(
  base-files ca-certificates netbase
  libc6 libgcc-s1 libstdc++6 libcrypt1 zlib1g libbz2-1.0 liblzma5 libexpat1 libffi8 libssl3 libuuid1
  python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$(id -u)" = 0 ]; then
  chown _apt "$work" # apt downloads as that user
fi
mkdir -p "$root/var/lib/dpkg/status.d"
(cd "$work" && apt-get download -q "${packages[@]}")
for package in "$work"/*.deb; do
  dpkg-deb --extract "$package" "$root"
  # Where scanners of images without dpkg look: what the package is, and the sums of its files.
  name=$(dpkg-deb --field "$package" Package)
  dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/$name"
  dpkg-deb --control "$package" "$work/$name"
  touch "$work/$name/conffiles" # of which md5sums has none
  (cd "$root" && sed 's|^/||' "$work/$name/conffiles" | xargs -r md5sum) | cat "$work/$name/md5sums" - \
    >"$root/var/lib/dpkg/status.d/$name.md5sums"
done

mkdir -p "$root/etc/ssl/certs" "$root/tmp"
chmod 1777 "$root/tmp"
# What the package's own script would write.
find "$root/usr/share/ca-certificates/mozilla" -name '*.crt' -print0 | sort -z | xargs -0 cat \
  >"$root/etc/ssl/certs/ca-certificates.crt"
# OpenSSL's own default place, which its package would have linked.
mkdir -p "$root/usr/lib/ssl"
ln -s /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# Nothing of these is read at run time.
rm -rf "$root"/usr/share/{doc,man,locale,lintian,bug,info,pixmaps,applications,binfmts,python3,base-files}
rm -rf "$root"/usr/share/ca-certificates "$root"/usr/sbin "$root"/usr/lib/*-linux-gnu/gconv
rm -rf "$root"/usr/lib/python3.11/{pydoc_data,lib2to3,distutils}
