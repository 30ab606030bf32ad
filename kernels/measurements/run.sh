#!/bin/sh
# Measures everything on this machine's GPU within ten minutes, then checks small odd sizes of every kernel:
# kernels/measurements/<device>-<date>.jsonl. From anywhere: kernels/measurements/run.sh [options of the bench,
# such as --out FILE or --suite quick]. Cut short at any time it loses the case that ran: run it again.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  [ -x .venv/bin/python ] && PYTHON=.venv/bin/python
fi
PYTHONPATH=${PYTHONPATH:+$PYTHONPATH:}$PWD
export PYTHONPATH
unset TRITON_INTERPRET

# Seconds from the start after which nothing more is measured, and until all is over: what is measured then is cut
# short, and so are the checks.
MEASURE_S=${MEASURE_S:-450}
WHOLE_S=${WHOLE_S:-$((MEASURE_S + 130))}
began=$(date +%s)
left() {
  rest=$(($1 - $(date +%s) + began))
  [ "$rest" -gt "$2" ] || rest=$2
  echo "$rest"
}

# The bench checks each kernel against float64 before it times it, at the sizes that it times.
# 75: a kernel took the device with it. Its line says so, and another process goes on with the rest.
for attempt in 1 2 3 4; do
  timeout --foreground -k 10 "$(left "$WHOLE_S" 1)" \
    "$PYTHON" -m siliform.kernels.bench --suite full --seconds "$(left "$MEASURE_S" 0)" "$@"
  measured=$?
  [ "$measured" -ne 75 ] && break
  echo "attempt $attempt ended with a lost device" >&2
done
[ "$measured" -eq 2 ] && exit 2
if [ "$measured" -eq 124 ] || [ "$measured" -eq 137 ]; then
  echo "cut short after $WHOLE_S s: run this again to go on" >&2
  exit 1
fi

if ! "$PYTHON" -c 'import pytest' 2>/dev/null; then
  echo "pytest is not installed: kernels are checked by the bench alone" >&2
  exit "$measured"
fi
timeout --foreground -k 10 "$(left "$WHOLE_S" 5)" "$PYTHON" -m pytest -q tests/gpu
checked=$?
# 5: pytest found nothing to run. 124: the time was over.
[ "$checked" -eq 5 ] && checked=0
[ "$checked" -eq 124 ] && echo "no time was left for all checks: run this again" >&2
[ "$measured" -ne 0 ] && exit "$measured"
[ "$checked" -ne 0 ] && exit 1
exit 0
