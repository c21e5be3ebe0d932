# shellcheck shell=bash
# What the parts are packed into: images for the nodes, and a database that is already migrated.
# Kept in the cache, named after the digest of what went in.

# image: name, reference, entrypoint, options. The reference is under docker.io/ and no tag is "latest", so that nothing is pulled.
coredns_version() { sed -n 's/.*coredns\/coredns v//p' "$bed/parts/coredns/go.mod"; }

# The Kratos that the test bed packs, migrates and runs: the part that it builds, or the program that MFA_OPERATOR_TEST_KRATOS names.
kratos_given() { [ -n "${MFA_OPERATOR_TEST_KRATOS:-}" ]; }
kratos_program() { if kratos_given; then realpath -- "$MFA_OPERATOR_TEST_KRATOS"; else printf '%s\n' "$(part_dir kratos)/kratos"; fi; }
kratos_version() { # of the part; a program that is given is told by its digest
  local digest
  if ! kratos_given; then sed -n 's/^require github.com\/ory\/kratos //p' "$bed/parts/kratos/go.mod"; return; fi
  digest=$(sha256sum <"$MFA_OPERATOR_TEST_KRATOS")
  printf 'given-%s\n' "${digest:0:12}"
}
kratos_image() { printf 'docker.io/testbed/kratos:%s\n' "$(kratos_version)"; }

# It runs in an image that has nothing else in it.
check_kratos() {
  kratos_given || return 0
  [ -x "$MFA_OPERATOR_TEST_KRATOS" ] || die "MFA_OPERATOR_TEST_KRATOS is not a program: $MFA_OPERATOR_TEST_KRATOS"
  ! LC_ALL=C grep -aq '/ld-' <<<"$(dd if="$MFA_OPERATOR_TEST_KRATOS" bs=4096 count=1 2>/dev/null | tr -d '\0')" ||
    die "MFA_OPERATOR_TEST_KRATOS needs libraries that its image would not have: build it static, as build_kratos in tests/cluster/lib/parts.sh does"
}

image_spec() { # part: reference, entrypoint and files, one a line
  local program
  if [ "$1" = kratos ]; then program=$(kratos_program); else program=$(part_dir "$1")/$1; fi
  case $1 in
    pause) printf '%s\n' docker.io/testbed/pause:1 '["/pause"]' "$program:/pause" ;;
    probe) printf '%s\n' docker.io/testbed/probe:1 '["/usr/bin/probe"]' "$program:/usr/bin/probe" ;;
    coredns) printf '%s\n' "docker.io/testbed/coredns:$(coredns_version)" '["/usr/bin/coredns"]' "$program:/usr/bin/coredns" ;;
    kratos) printf '%s\n' "$(kratos_image)" '["kratos"]' "$program:/usr/bin/kratos" --tmp --env GOGC=400 ;;
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
