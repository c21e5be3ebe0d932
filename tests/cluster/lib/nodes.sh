# shellcheck shell=bash
# Nodes, from the outside: starting, linking, ending them, and running commands in them.
# $state is the cluster's folder: kubeconfig, audit.log, path, pki/, etcd/, postgres/, images/, and in nodes/NAME
# pid (its outermost process), number, log/, and the marks network, started.

default_nodes=(node-0 node-1)

alive() { noted_pid "$state/nodes/$1/pid" >/dev/null; } # name
started() { alive "$1" && [ -f "$state/nodes/$1/started" ]; }
node_names() { (cd "$state/nodes" 2>/dev/null && ls) || true; }

# Joins the namespaces of the first node. The command ends with this process or with the node.
inside() { # command...
  local pid
  pid=$(noted_pid "$state/nodes/node-0/pid") || die "the cluster is down; see make cluster-up"
  # shellcheck disable=SC2016
  KUBECONFIG=$state/kubeconfig PATH=$(<"$state/path"):$PATH MFA_OPERATOR_INSIDE=1 nsenter --net="/proc/$pid/ns/net" --mount="/proc/$pid/ns/mnt" \
    --pid="/proc/$pid/ns/pid_for_children" -- setpriv --pdeathsig TERM sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
}

on_network() { # node command...
  local pid
  pid=$(noted_pid "$state/nodes/$1/pid") || die "node $1 is down"
  shift
  nsenter --net="/proc/$pid/ns/net" -- "$@"
}

certificates() {
  local who
  (umask 077 && mkdir -p "$state/pki")
  [ -f "$state/kubeconfig" ] && return
  authority "$state/pki"
  certificate "$state/pki" apiserver /CN=kube-apiserver \
    DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:10.244.0.1
  certificate "$state/pki" admin /O=system:masters/CN=admin
  for who in controller-manager scheduler proxy; do
    certificate "$state/pki" $who /CN=system:kube-$who
    kubeconfig "$state/pki" $who https://10.244.0.1:6443 >"$state/pki/$who.kubeconfig"
  done
  (umask 077 && kubeconfig "$state/pki" admin https://10.244.0.1:6443 >"$state/.kubeconfig")
  mv "$state/.kubeconfig" "$state/kubeconfig"
}

# The first node is number 0; each other one keeps the lowest number that was free when it first joined.
number_of() { # name
  local file=$state/nodes/$1/number number=1
  if [ ! -f "$file" ]; then
    if [ "$1" = node-0 ]; then number=0; else
      while grep -qsx $number "$state"/nodes/*/number; do number=$((number + 1)); done
    fi
    mkdir -p "${file%/*}" && echo $number >"$file"
  fi
  cat "$file"
}

boot() { # name
  local node=$state/nodes/$1 number
  number=$(number_of "$1")
  [ "$number" -lt 255 ] || die 'there is room for 254 nodes'
  if [ ! -f "$state/pki/$1.kubeconfig" ]; then
    certificate "$state/pki" "$1" "/O=system:nodes/CN=system:node:$1" "DNS:$1,IP:10.244.$number.1"
    kubeconfig "$state/pki" "$1" https://10.244.0.1:6443 >"$state/pki/$1.kubeconfig"
  fi
  rm -f "$node/network" "$node/started"
  setsid "$bed/lib/machine" boot "$state" "$1" "$number" >"$node/machine.log" 2>&1 </dev/null 9>&- &
  until alive "$1"; do
    kill -0 $! 2>/dev/null || { cat "$node/machine.log" >&2; die "node $1 did not start"; }
    sleep .02
  done
}

mark() { # name mark: waits for it
  local node=$state/nodes/$1
  until [ -f "$node/$2" ]; do
    alive "$1" || { tail -n 5 "$node/machine.log" >&2; die "node $1 ended while it started; see $node"; }
    [ $SECONDS -lt "$deadline" ] || { tail -n 3 "$node/machine.log" "$node"/log/*.log >&2; die "node $1 did not come up; see $node"; }
    sleep .05
  done
}

# A cable between a node and the first one, which routes for all.
cable() { # name
  local number
  [ "$1" != node-0 ] || return 0
  number=$(number_of "$1")
  mark node-0 network
  mark "$1" network
  on_network node-0 ip link delete "to-$number" 2>/dev/null || true
  on_network node-0 ip link add "to-$number" type veth peer name uplink netns "$(noted_pid "$state/nodes/$1/pid")"
  on_network node-0 ip address add "10.255.$number.1/30" dev "to-$number"
  on_network "$1" sh -c "ip address add 10.255.$number.2/30 dev uplink && ip link set uplink up && \
    ip route add 10.244.0.0/16 via 10.255.$number.1 src 10.244.$number.1"
  plug "$number"
}

plug() { # number
  on_network node-0 sh -c "ip link set to-$1 up && ip route replace 10.244.$1.0/24 via 10.255.$1.2"
}

unplug() { # number: the route stays, pointing nowhere, so that no packet goes round in circles
  on_network node-0 sh -c "ip link set to-$1 down && ip route replace unreachable 10.244.$1.0/24"
}

# Its first process takes all others with it; the cgroups tell when they are gone.
power_off() { # name
  local started=$SECONDS pid
  end_noted "$state/nodes/$1/pid"
  while [ -n "$(cgroup_processes "$1")" ]; do
    if [ $((SECONDS - started)) -gt 5 ]; then for pid in $(cgroup_processes "$1"); do kill -KILL "$pid" 2>/dev/null || true; done; fi
    [ $((SECONDS - started)) -lt 20 ] || die "processes of node $1 do not end: $(cgroup_processes "$1" | tr '\n' ' ')"
    sleep .05
  done
  remove_cgroups "$1"
  rm -f "$state/nodes/$1"/{network,started}
}

# Every kubelet, proxy and Kratos takes an inotify instance or more of the 128 that a user usually has, over all clusters.
explain_lack() { # name
  ! grep -qs 'too many open files' "$state/nodes/$1"/log/*.log ||
    say "cluster: the machine has no inotify instance left: end another cluster, or raise /proc/sys/fs/inotify/max_user_instances ($(</proc/sys/fs/inotify/max_user_instances))"
}

# Waits until Kubernetes calls the nodes Ready.
await_nodes() { # name...
  local name
  for name; do mark "$name" started; done
  for name; do
    until inside kubectl wait --for=condition=Ready "node/$name" --timeout=10s >/dev/null 2>&1; do
      [ $SECONDS -lt "$deadline" ] || { explain_lack "$name"; die "node $name does not get Ready; see $state/nodes/$name/log"; }
      alive "$name" || die "node $name ended; see $state/nodes/$name"
      sleep .1
    done
    say "  $name: Ready after $(since "$begun")"
  done
}
