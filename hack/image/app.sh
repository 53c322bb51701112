#!/usr/bin/env bash
# The program and its pinned packages, laid out in ROOT and compiled. Wheels only: nothing is built but us.
# Usage: hack/image/app.sh ROOT, from a checkout; needs Python 3.11 with pip.
set -euo pipefail

root=$1
site=$root/usr/lib/python3/dist-packages
export PIP_ROOT_USER_ACTION=ignore
pip=(python3.11 -m pip --quiet --disable-pip-version-check --no-cache-dir --no-input)

mkdir -p "$site"
"${pip[@]}" install --require-hashes --only-binary :all: --no-deps --no-compile --target "$site" \
  -r requirements/image.txt
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"${pip[@]}" install --require-hashes --only-binary :all: --no-compile --target "$build" -r requirements/build.txt
PYTHONPATH=$build "${pip[@]}" install --no-build-isolation --no-deps --no-compile --target "$site" .

# Of botocore's 400 services three are called; of aiohttp's and rich's files these are for development.
find "$site/botocore/data" -mindepth 1 -maxdepth 1 -type d \
  ! -name ec2 ! -name sts ! -name service-quotas -exec rm -rf {} +
find "$site/botocore/data/ec2" -mindepth 1 -maxdepth 1 -type d | sort | head -n -1 | xargs rm -rf
rm -rf "${site:?}/bin" "$site"/aiohttp/.hash "$site"/botocore/cacert.pem
find "$site" -type f -regex '.*\.\(pyi\|pyx\|pxd\|c\|h\)' -delete
ln -s /etc/ssl/certs/ca-certificates.crt "$site/botocore/cacert.pem"

# For `kubectl exec`: pip's own scripts name another interpreter and do not isolate it.
printf '%s\n' '#!/usr/bin/python3.11 -I' 'import sys' 'from nodeeni.cli.main import main' 'sys.exit(main())' \
  >"$root/usr/bin/nodeeni"
chmod 755 "$root/usr/bin/nodeeni"

# Compiled once here, since the file system is read-only where it runs; unchecked: nothing changes there.
for library in "$root/usr/lib/python3.11" "$site"; do
  python3.11 -m compileall -q --invalidation-mode unchecked-hash -s "$root" "$library" || true
done
python3.11 hack/image/sbom.py "$root" >"$root/usr/share/sbom.cdx.json"
python3.11 hack/image/accounted.py "$root"
