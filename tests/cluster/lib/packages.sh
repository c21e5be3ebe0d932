# shellcheck shell=bash
# What the machine itself must provide: Debian packages, and Go.

# Each program the test bed calls, and the Debian package that has it.
declare -A package_probe=(
  [containerd]='command -v containerd' [runc]='command -v runc' [nftables]='command -v nft' [conntrack]='command -v conntrack'
  [containernetworking-plugins]='[ -x /usr/lib/cni/bridge ]' [iproute2]='command -v ip' [util-linux]='command -v unshare && command -v nsenter && command -v flock'
  [openssl]='command -v openssl' [python3]='command -v python3' [procps]='command -v pgrep && command -v sysctl' [postgresql]='postgres_bin'
  [postgresql-client]='command -v psql' [gcc]='command -v cc' [libc6-dev]='[ -f /usr/include/stdlib.h ]' [golang-go]='command -v go'
  [python3-pip]='python3 -m pip --version'
)

postgres_bin() { # prints the folder of the newest server that Debian installed
  local all=(/usr/lib/postgresql/*/bin/initdb)
  [ -x "${all[-1]}" ] && dirname "${all[-1]}"
}

# Installs what is missing where that is possible without asking, else says what to install.
need_packages() { # package...
  local package missing=()
  for package; do eval "${package_probe[$package]}" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "please install: ${missing[*]} (names of Debian packages; as root on Debian they are installed by themselves)"
  fi
  say "  installing Debian packages: ${missing[*]}"
  if [[ " ${missing[*]} " == *" postgresql "* ]]; then keep_postgresql_quiet; fi
  mkdir -p "$cache/log"
  apt_install "${missing[@]}" >"$cache/log/apt.log" 2>&1 ||
    { apt-get update && apt_install "${missing[@]}"; } >>"$cache/log/apt.log" 2>&1 ||
    { tail -5 "$cache/log/apt.log" >&2; die "apt-get could not install ${missing[*]}; see $cache/log/apt.log"; }
}

apt_install() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" </dev/null; }

# Debian's package creates and starts a server of its own; only the programs are wanted.
keep_postgresql_quiet() {
  local file=/etc/postgresql-common/createcluster.conf
  [ -e "$file" ] && return
  mkdir -p "${file%/*}" && echo 'create_main_cluster = false' >"$file"
}

# Go must be as new as the parts ask for, or new enough to fetch such a one by itself.
need_go() {
  local wanted have
  command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
  command -v go >/dev/null || need_packages golang-go
  wanted=$(sed -n 's/^go //p' "$bed/parts/node/go.mod")
  have=$(GOTOOLCHAIN=local go env GOVERSION) have=${have#go} have=${have%%[- ]*}
  export GOFLAGS='-buildvcs=false -mod=readonly'
  if at_least "$have" "$wanted"; then return; fi
  at_least "$have" 1.21 || die "Go $wanted or newer is needed, this is $have: see https://go.dev/dl/"
  export GOTOOLCHAIN=auto
}

at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | sed -n 1p)" = "$2" ]; } # version minimum

# A python3 in front of Debian's in the PATH may be a wrapper that takes ten times as long to start.
system_python() { if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else command -v python3; fi; }
