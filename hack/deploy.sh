#!/usr/bin/env bash
# Deploy to the cluster of the current kubeconfig context, as v1.1.0's script of this name did.
# USE_GHCR=true takes IMAGE as it is; otherwise the image is built here and pushed.
# Usage: [USE_GHCR=true] [DRY_RUN=server|client] hack/deploy.sh [IMAGE]
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(sed -n 's/^appVersion: //p' charts/nodeeni/Chart.yaml)
if [ "${USE_GHCR:-false}" = true ]; then
  image=${1:?no image of nodeeni is published yet: name yours, or leave USE_GHCR out to build one}
  echo "using $image"
else
  image=${1:-nodeeni:$version-$(date +%Y%m%d%H%M%S)}
  echo "building $image"
  docker build -t "$image" .
  # A name with a registry or an owner in it is somewhere else; a bare one stays on this machine.
  if [[ $image == */* ]]; then
    docker push "$image"
  fi
fi

apply() {
  kubectl apply ${DRY_RUN:+--dry-run="$DRY_RUN"} -f "$@"
}
apply deploy/crds/
# The committed manifests stay as they are: only what is sent names the image.
for manifest in deploy/deployment.yaml deploy/eni-manager-daemonset.yaml; do
  sed "s|\${UNIFIED_IMAGE}|$image|g" "$manifest" | apply -
done
if [ -z "${DRY_RUN:-}" ]; then
  kubectl -n eni-controller-system rollout status deployment/eni-controller
fi

cat <<'NEXT'
Next:
  kubectl label node NODE ng=multi-eni
  kubectl apply -f deploy/samples/networking_v1alpha1_nodeeni.yaml   # with your subnet and group
  kubectl get nodeeni -w
NEXT
