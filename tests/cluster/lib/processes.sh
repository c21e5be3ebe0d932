# shellcheck shell=bash
# Process ids get reused. What the test bed may later end, it therefore notes as boot, id and start time,
# and it ends nothing whose three do not match.

identity() { # pid: prints "boot-id pid start-time", fails if there is no such process
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }" # the name before it may hold blanks
  [ "${fields[0]}" != Z ] || return 1
  printf '%s %s %s\n' "$(</proc/sys/kernel/random/boot_id)" "$1" "${fields[19]}"
}

noted_pid() { # file: prints the process id if that very process still lives
  local boot pid start
  [ -s "$1" ] && read -r boot pid start <"$1" && [ "$(identity "$pid")" = "$boot $pid $start" ] && printf '%s' "$pid"
}

end_noted() { # file: kills the process and waits until it is gone
  local pid
  if pid=$(noted_pid "$1"); then
    kill -KILL "$pid" 2>/dev/null || true
    while noted_pid "$1" >/dev/null; do sleep .05; done
  fi
  rm -f "$1"
}
