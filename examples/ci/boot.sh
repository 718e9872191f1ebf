#!/bin/sh
# Boot the firmware without a screen and wait for its self-test: the exit code is the verdict.
#   0    the console showed what was expected
#   1    it showed what must not be there, or the guest ended or crashed before
#   124  too late, in guest time or in real time
set -eu
image=${1:?usage: boot.sh IMAGE}
printf 'selftest\n' | otoriscv boot "$image" \
    --expect 'thermostat ready' --expect 'self-test passed\n' \
    --fail-on 'FAILED|panic' \
    --timeout 10 --wall-timeout 60 \
    --stats-json stats.json
