#!/bin/bash
# EMR bootstrap action: unpacks Trueup and its Python packages at the same path on every node.
#   bootstrap.sh s3://…/count-<sha256>.tar.gz <sha256> /opt/trueup [gpu]
set -euo pipefail
archive="$1" sha256="$2" folder="$3" gpu="${4:-}"
work=$(mktemp -d)
aws s3 cp --only-show-errors "$archive" "$work/archive.tar.gz"
echo "$sha256  $work/archive.tar.gz" | sha256sum --check --quiet
sudo mkdir -p "$folder"
sudo tar -xzf "$work/archive.tar.gz" -C "$folder" --no-same-owner
rm -r "$work"
if [ "$gpu" = gpu ]; then
  # YARN isolates GPUs by devices, which only version 1 of cgroups has (EMR Release Guide, Spark-RAPIDS on 7.x).
  sudo mkdir -p /spark-rapids-cgroup/devices
  sudo mount -t cgroup -o devices cgroupv1-devices /spark-rapids-cgroup/devices
  sudo chmod -R a+rwx /spark-rapids-cgroup
fi
