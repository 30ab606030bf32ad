#!/bin/sh
# Checks the kernels on this machine's GPU and measures everything: kernels/measurements/<device>-<date>.jsonl.
# From anywhere: kernels/measurements/run.sh [options of the bench, such as --out FILE or --suite quick]
set -u
cd "$(dirname "$0")/../.." || exit 1
PYTHON=${PYTHON:-python3}
PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$PWD
export PYTHONPATH
unset TRITON_INTERPRET

if "$PYTHON" -c 'import pytest' 2>/dev/null; then
  "$PYTHON" -m pytest -q tests/gpu
  checked=$?
  # 5: pytest found nothing to run.
  [ "$checked" -eq 5 ] && checked=0
else
  echo "pytest is not installed: kernels are checked by the bench alone" >&2
  checked=0
fi

# 75: a kernel took the device with it. Its line says so, and another process goes on with the rest.
for attempt in 1 2 3 4; do
  "$PYTHON" -m siliform.kernels.bench --suite full "$@"
  measured=$?
  [ "$measured" -ne 75 ] && break
  echo "attempt $attempt ended with a lost device" >&2
done
[ "$measured" -ne 0 ] && exit "$measured"
exit "$checked"
