# shellcheck shell=bash
# What every script of the test bed shares: where things are kept, and how it speaks.

bed=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
clone=$(cd "$bed/../.." && pwd)
cache=${MFA_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mfa-operator}

# For everything that the test bed runs: by Go's default, programs that hold little and start in numbers collect
# garbage again and again.
export GOGC=${GOGC:-400}

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

now() { printf '%s' "${EPOCHREALTIME/./}"; } # microseconds
since() { # start: "4.2 s" or "3 min 05 s"
  local tenths=$((($(now) - $1) / 100000))
  if [ $tenths -lt 1000 ]; then printf '%d.%d s' $((tenths / 10)) $((tenths % 10)); else printf '%d min %02d s' $((tenths / 600)) $((tenths / 10 % 60)); fi
}

# Runs a command until it succeeds; gives up after so many seconds.
wait_for() { # seconds what command...
  local limit=$1 what=$2 started=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - started)) -lt "$limit" ] || { say "$what did not come up within $limit s"; return 1; }
    sleep .1
  done
}
