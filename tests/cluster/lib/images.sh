# shellcheck shell=bash
# What the parts are packed into: images for the nodes, and a database that is already migrated.
# Kept in the cache, named after the digest of what went in.

# image: name, reference, entrypoint, options. The reference is under docker.io/ and no tag is "latest", so that nothing is pulled.
coredns_version() { sed -n 's/.*coredns\/coredns v//p' "$bed/parts/coredns/go.mod"; }
kratos_version() { sed -n 's/.*ory\/kratos //p' "$bed/parts/kratos/go.mod" | tail -1; }

image_spec() { # part: reference, entrypoint and files, one a line
  local program
  program=$(part_dir "$1")/$1
  case $1 in
    pause) printf '%s\n' docker.io/testbed/pause:1 '["/pause"]' "$program:/pause" ;;
    probe) printf '%s\n' docker.io/testbed/probe:1 '["/usr/bin/probe"]' "$program:/usr/bin/probe" ;;
    coredns) printf '%s\n' "docker.io/testbed/coredns:$(coredns_version)" '["/usr/bin/coredns"]' "$program:/usr/bin/coredns" ;;
    kratos) printf '%s\n' "docker.io/testbed/kratos:$(kratos_version)" '["kratos"]' "$program:/usr/bin/kratos" --tmp ;;
  esac
}

image_file() { # part
  local digest
  digest=$({ image_spec "$1"; sha256sum "$bed/image"; } | sha256sum)
  printf '%s/images/%s-%s.tar' "$cache" "$1" "${digest:0:12}"
}

pack_images() { # part...
  local part spec
  mkdir -p "$cache/images"
  for part; do
    [ -f "$(image_file "$part")" ] && continue
    mapfile -t spec < <(image_spec "$part")
    "$(system_python)" "$bed/image" "$(image_file "$part")" "${spec[@]}" 2>/dev/null
  done
}
