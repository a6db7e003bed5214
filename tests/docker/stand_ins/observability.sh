#!/usr/bin/env bash
# Makes the images of the profile `observability` out of Debian's packages, for tests in an engine that has no registry: it takes
# a minute. They are tagged `stand-in`, beside official ones.
set -euo pipefail
cd "$(dirname "$0")"
for one in metrics=victoriametrics/victoria-metrics log-store=victoriametrics/victoria-logs log-shipper=balabit/syslog-ng; do
  docker build --quiet --file observability.Dockerfile --target "${one%%=*}" --tag "${one#*=}:stand-in" . >/dev/null
done
