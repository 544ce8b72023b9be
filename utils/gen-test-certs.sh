#!/usr/bin/env bash
# Makes certificates for tests: utils/gen-test-certs.sh [FOLDER]
#
# The folder is tests/tls unless another is named. The first files are those that the Valkey suite's script of this name
# makes in effect: an authority (ca), certificates for servers only (server), for clients only (client), and without any
# extension, which makes it X.509 version 1 (valkey). Behind them come what a server has to refuse, and keys and chains in
# other forms. Whatever is there already is kept.
set -euo pipefail

folder=${1:-$(dirname "$0")/../tests/tls}
mkdir -p "$folder"
cd "$folder"

# The passphrase of the encrypted keys.
passphrase=valkey

cat > openssl.cnf <<'CONF'
[ server_cert ]
keyUsage = digitalSignature, keyEncipherment
nsCertType = server

[ client_cert ]
keyUsage = digitalSignature, keyEncipherment
nsCertType = client

[ server_purpose ]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth

[ authority ]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign

[ ca ]
default_ca = past

[ past ]
database = past.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no

[ any ]
organizationName = optional
commonName = supplied
CONF

# run WORD...: openssl, silent unless it fails.
run() {
    local said
    said=$(openssl "$@" 2>&1) || { echo "openssl $*: $said" >&2; return 1; }
}

# key NAME: an RSA key of 2048 bits.
key() {
    [ -f "$1.key" ] || run genrsa -out "$1.key" 2048
}

# authority NAME BITS CN: a certificate that signs others.
authority() {
    [ -f "$1.key" ] || run genrsa -out "$1.key" "$2"
    [ -f "$1.crt" ] || run req -x509 -new -nodes -sha256 -key "$1.key" -days 3650 \
        -subj "/O=Valkey Test/CN=$3" -out "$1.crt"
}

# request NAME CN: prints a request for a certificate.
request() {
    openssl req -new -sha256 -subj "/O=Valkey Test/CN=$2" -key "$1.key"
}

# leaf NAME CN AUTHORITY [WORD...]: a certificate signed by an authority.
leaf() {
    local name=$1 cn=$2 by=$3
    shift 3
    [ -f "$name.crt" ] && return
    request "$name" "$cn" | run x509 -req -sha256 -CA "$by.crt" -CAkey "$by.key" \
        -CAserial ca.txt -CAcreateserial -days 365 "$@" -out "$name.crt"
}

# past NAME CN [WORD...]: a certificate that has run out.
past() {
    local name=$1 cn=$2
    shift 2
    [ -f "$name.crt" ] && return
    : > past.txt
    request "$name" "$cn" > "$name.csr"
    run ca -config openssl.cnf -batch -notext -cert ca.crt -keyfile ca.key -in "$name.csr" -out "$name.crt" \
        -startdate 20200101000000Z -enddate 20210101000000Z "$@"
    rm -f "$name.csr" past.txt* ./[0-9A-F]*.pem
}

extensions() {
    printf '%s\n' -extfile openssl.cnf -extensions "$1"
}

# What the Valkey suite's servers and clients use.
authority ca 4096 'Certificate Authority'
for name in server client valkey; do key "$name"; done
leaf server Server-only ca $(extensions server_cert)
leaf client Client-only ca $(extensions client_cert)
leaf valkey Generic-cert ca
[ -f valkey.dh ] || run genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out valkey.dh

# What is to be refused: signed by somebody else, by somebody else of the authority's name, or too long ago.
authority stranger 2048 'Stranger'
authority impostor 2048 'Certificate Authority'
for name in untrusted untrusted-v1 forged-v1 expired expired-v1 purpose; do key "$name"; done
leaf untrusted Untrusted stranger $(extensions client_cert)
leaf untrusted-v1 Untrusted stranger
leaf forged-v1 Forged impostor
past expired Expired -extensions client_cert
past expired-v1 Expired
leaf purpose Server-purpose ca $(extensions server_purpose)

# Other forms: an authority between, keys of another kind, and encrypted keys.
if [ ! -f chain.crt ]; then
    for name in between chained; do key "$name"; done
    leaf between 'Authority between' ca $(extensions authority)
    leaf chained Chained between $(extensions server_cert)
    cat chained.crt between.crt > chain.crt
fi
[ -f ecdsa.key ] || run ecparam -name prime256v1 -genkey -noout -out ecdsa.key
leaf ecdsa Elliptic ca $(extensions server_cert)
[ -f server-encrypted.key ] || run pkcs8 -topk8 -v2 aes-256-cbc -in server.key -out server-encrypted.key -passout "pass:$passphrase"
for cipher in aes128 aes192 aes256 des3; do
    [ -f "traditional-$cipher.key" ] ||
        run rsa "-$cipher" -traditional -in server.key -out "traditional-$cipher.key" -passout "pass:$passphrase"
done
[ -f traditional-ecdsa.key ] || run ec -aes256 -in ecdsa.key -out traditional-ecdsa.key -passout "pass:$passphrase"
