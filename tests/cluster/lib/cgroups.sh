# shellcheck shell=bash
# All processes of a cluster live below one cgroup of its own in each hierarchy: what is left of it can be found,
# and nothing else is ever touched. Version 2 has one hierarchy, version 1 one for each controller.

cgroup_version() { if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then echo 2; else echo 1; fi; }

cgroup_roots() {
  local root
  if [ "$(cgroup_version)" = 2 ]; then echo /sys/fs/cgroup; return; fi
  for root in /sys/fs/cgroup/*; do
    if [ -f "$root/cgroup.procs" ] && [ ! -L "$root" ]; then echo "$root"; fi
  done
}

cgroup_name() { local digest; digest=$(sha256sum <<<"$state"); printf 'mfa-operator-%s' "${digest:0:12}"; }

enter_cgroups() { # node
  local root parent
  for root in $(cgroup_roots); do
    parent=$root
    for part in "$(cgroup_name)" "$1"; do
      delegate "$parent"
      mkdir -p "$parent/$part"
      # Version 1: a set without processors and memory takes no process.
      if [ -f "$parent/cpuset.mems" ] && [ "$(cgroup_version)" = 1 ]; then
        cat "$parent/cpuset.cpus" >"$parent/$part/cpuset.cpus"
        cat "$parent/cpuset.mems" >"$parent/$part/cpuset.mems"
      fi
      parent=$parent/$part
    done
    echo $$ >"$parent/cgroup.procs"
  done
}

delegate() { # cgroup: version 2 hands each controller down explicitly
  local controller
  [ "$(cgroup_version)" = 2 ] || return 0
  for controller in $(<"$1/cgroup.controllers"); do
    { echo "+$controller" >"$1/cgroup.subtree_control"; } 2>/dev/null || true
  done
}

# Shows the node its own cgroups as the whole. It runs in the node's mount namespace.
mount_cgroups() { # node
  local root new=/run/cgroup own
  mkdir "$new"
  own=$(cgroup_name)/$1
  if [ "$(cgroup_version)" = 2 ]; then
    mount --bind "/sys/fs/cgroup/$own" "$new"
  else
    mount -t tmpfs tmpfs "$new"
    find /sys/fs/cgroup -maxdepth 1 -type l -exec cp -P {} "$new" \; # cpu -> cpu,cpuacct
    for root in $(cgroup_roots); do
      mkdir "$new/${root##*/}"
      mount --bind "$root/$own" "$new/${root##*/}"
    done
  fi
  umount --lazy --recursive /sys/fs/cgroup
  mount --move "$new" /sys/fs/cgroup
}

cgroup_processes() { # [node]: of the cluster, or of one node
  local root
  for root in $(cgroup_roots); do
    find "$root/$(cgroup_name)${1:+/$1}" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  done | sort -un
}

remove_cgroups() { # [node]
  local root
  for root in $(cgroup_roots); do
    find "$root/$(cgroup_name)${1:+/$1}" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
}
