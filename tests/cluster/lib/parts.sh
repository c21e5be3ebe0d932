# shellcheck shell=bash
# The programs of the test bed, built from Go modules (pause from C) into the cache.
# Each build goes into a folder named after the digest of its inputs, so that clones with other versions
# share one cache, and a running cluster keeps its programs while another clone builds newer ones.

# A part's inputs are its folder under parts/ and its build function below.
part_dir() { # part
  local digest
  digest=$({ cd "$bed/parts/$1" && sha256sum -- *; declare -f "build_$1"; } | sha256sum)
  printf '%s/bin/%s-%s' "$cache" "$1" "${digest:0:12}"
}

go_build() { # package out arguments...
  local package=$1 out=$2
  shift 2
  # The compiler suits the collection of its garbage to itself as long as nobody else does.
  env -u GOGC go build -v -trimpath "$@" -o "$out" "$package"
}

# out: etcd and Kubernetes as one binary, called by its links. kubectl is one of its own: tests start it hundreds of times,
# and the whole of Kubernetes takes three times as long to start.
build_node() {
  local version part flags
  version=v1$(sed -n 's/.*k8s.io\/component-base v0\(.*\)/\1/p' go.mod | sed -n 1p)
  flags="-s -w -X k8s.io/component-base/version.gitVersion=$version
    -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
  go_build . "$1/node" -ldflags "$flags"
  for part in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do ln -s node "$1/$part"; done
  go_build k8s.io/kubernetes/cmd/kubectl "$1/kubectl" -ldflags "$flags"
}

# out: Helm 4 as helm, Helm 3 as helm3. CoreDNS shares what is compiled here, as long as it wants the same versions of
# its libraries, and both are built without C.
build_helm() {
  CGO_ENABLED=0 go_build helm.sh/helm/v4/cmd/helm "$1/helm" -ldflags '-s -w'
  CGO_ENABLED=0 go_build helm.sh/helm/v3/cmd/helm "$1/helm3" -ldflags '-s -w'
}

build_kratos() { # out: static, so that it runs in an empty image; the linker's warnings about glibc do not matter here
  local version
  version=$(sed -n 's/^require github.com\/ory\/kratos //p' go.mod) # else it would call itself "master"
  go_build github.com/ory/kratos "$1/kratos" -tags sqlite \
    -ldflags "-s -w -linkmode external -extldflags -static -X github.com/ory/kratos/driver/config.Version=$version"
}

build_coredns() { CGO_ENABLED=0 go_build . "$1/coredns" -ldflags '-s -w'; }
build_oathkeeper() { CGO_ENABLED=0 go_build github.com/ory/oathkeeper "$1/oathkeeper" -ldflags '-s -w'; }
build_probe() { CGO_ENABLED=0 go_build . "$1/probe" -ldflags '-s -w'; }
build_pause() { cc -static -Os -o "$1/pause" pause.c; }

# Builds what is missing. The result appears by one rename, and a lock lets a second clone wait for it rather than build it too.
build_parts() { # part...
  local part out missing=()
  for part; do [ -d "$(part_dir "$part")" ] || missing+=("$part"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "Building ${missing[*]}, once: all parts of the test bed take 11 to 18 minutes on 2 cores."
  mkdir -p "$cache/bin" "$cache/log"
  for part in "${missing[@]}"; do
    out=$(part_dir "$part")
    (
      exec 9>"$cache/bin/.$part.lock"
      flock -n 9 || { say "  $part: another clone builds it, waiting"; flock 9; }
      [ -d "$out" ] || build_part "$part" "$out"
    ) || return 1
  done
}

build_part() { # part out
  local part=$1 out=$2 log=$cache/log/build-$1.log started temporary
  started=$(now)
  case $part in pause) need_packages gcc libc6-dev ;; kratos) need_go && need_packages gcc libc6-dev ;; *) need_go ;; esac
  rm -rf "$cache/bin/.$part".tmp.*
  temporary=$(mktemp -d "$cache/bin/.$part.tmp.XXXXXX") && chmod 755 "$temporary"
  set -m # a process group of its own, so that an interrupt ends the compilers too
  (cd "$bed/parts/$part" && "build_$part" "$temporary") >"$log" 2>&1 9>&- &
  local build=$!
  set +m
  trap 'kill -- -"$build" 2>/dev/null; wait; rm -rf "$temporary"; exit 130' INT TERM
  report_build "$part" "$build" "$started" "$log"
  trap - INT TERM
  if ! wait "$build"; then
    rm -rf "$temporary"
    tail -20 "$log" >&2
    say "  $part: the build failed; all of it is in $log"
    return 1
  fi
  mv -T "$temporary" "$out"
  say "  $part: built in $(since "$started")"
}

# One line a second on a terminal, one every half minute in a log.
report_build() { # part pid start log
  local every=30 end='\n'
  [ -t 2 ] && every=1 end='\r'
  say "  $1: building"
  while kill -0 "$2" 2>/dev/null; do
    sleep 1
    [ $((SECONDS % every)) = 0 ] || continue
    # shellcheck disable=SC2059
    printf "  $1: building, $(grep -cE '^[a-z0-9.-]+/' "$4" || true) packages compiled, $(since "$3")    $end" >&2
  done
}
