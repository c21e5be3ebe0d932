# shellcheck shell=bash
# Certificates of a throw-away CA, and kubeconfigs that carry theirs. Needs OpenSSL 3.
# Elliptic curves, because an RSA key takes longer to make than all of these together.

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650)

authority() { # pki-folder: ca.crt, ca.key, and the key that signs ServiceAccount tokens
  openssl req -x509 "${key[@]}" -keyout "$1/ca.key" -out "$1/ca.crt" -subj /CN=testbed-ca 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$1/sa.key" # the older form, the only one that the API server takes here
}

certificate() { # pki-folder name subject [alternative names]
  openssl req -x509 "${key[@]}" -keyout "$1/$2.key" -out "$1/$2.crt" -CA "$1/ca.crt" -CAkey "$1/ca.key" -subj "$3" \
    -addext "subjectAltName=${4:-DNS:$2}" -addext extendedKeyUsage=serverAuth,clientAuth -addext basicConstraints=critical,CA:FALSE 2>/dev/null
}

kubeconfig() { # pki-folder name server: on standard output
  cat <<Y
apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: "$3", certificate-authority-data: $(base64 -w0 "$1/ca.crt")}}]
users: [{name: $2, user: {client-certificate-data: $(base64 -w0 "$1/$2.crt"), client-key-data: $(base64 -w0 "$1/$2.key")}}]
contexts: [{name: testbed, context: {cluster: testbed, user: $2}}]
current-context: testbed
Y
}
