# shellcheck shell=bash
# etcd, the API server and the controller-manager: the options that the full cluster and a lone control plane share.
# The callers set pki and data (etcd's folder), and say how a program is started: start PROGRAM ARGUMENTS...

services=10.96.0.0/16

start_etcd() { # client-url peer-url
  start etcd --name testbed --data-dir "$data" --unsafe-no-fsync --quota-backend-bytes 8589934592 --log-level warn \
    --listen-client-urls "$1" --advertise-client-urls "$1" --listen-peer-urls "$2" --initial-advertise-peer-urls "$2" --initial-cluster "testbed=$2"
}

start_apiserver() { # etcd-url audit-log-or-empty arguments...
  local etcd=$1 audit=()
  # Rotation would hide a part of the log from its reader.
  [ -z "${CONTROL_PLANE_FEATURES:-}" ] || set -- "$@" --feature-gates "$CONTROL_PLANE_FEATURES"
  [ -z "$2" ] || audit=(--audit-policy-file "${CONTROL_PLANE_AUDIT_POLICY:-$bed/lib/audit-policy.yaml}" --audit-log-path "$2" --audit-log-maxsize 1000000)
  shift 2
  start kube-apiserver --etcd-servers "$etcd" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --client-ca-file "$pki/ca.crt" --service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
    --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range "$services" "${audit[@]}" "$@"
}

# With the default of 20 requests a second, the controllers take minutes over a burst of 1,000 objects.
start_controller_manager() { # arguments...
  start kube-controller-manager --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
    --use-service-account-credentials --leader-elect=false --kube-api-qps 1000 --kube-api-burst 2000 --concurrent-deployment-syncs 50 \
    --concurrent-replicaset-syncs 50 --concurrent-statefulset-syncs 50 --concurrent-daemonset-syncs 20 --concurrent-gc-syncs 50 "$@"
}
