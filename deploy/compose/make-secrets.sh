#!/bin/sh
# Makes every secret of compose.yaml that is not there yet, each in a file; a second run changes nothing.
set -eu
cd "$(dirname "$0")"
chmod 0700 .
umask 077
mkdir -p secrets tls
random() { openssl rand -hex 32; }
make() { [ -s "secrets/$1" ] || { cat >"secrets/.$1.new" && mv "secrets/.$1.new" "secrets/$1"; }; }

for name in postgres owner app delivery replica valkey; do random | make "$name-password"; done
printf '%s%s\n' "$(random)" "$(random)" | make secret-key
printf 'k1:%s\n' "$(openssl rand -base64 32)" | make quillkeep-key-ring

url() { printf 'postgresql://%s:%s@%s:5432/quillkeep\n' "$1" "$(cat "secrets/$2-password")" "$3"; }
url quillkeep_owner owner postgres | make owner-database-url
url quillkeep_app app postgres | make database-url
url quillkeep_delivery delivery postgres | make delivery-database-url
url quillkeep_delivery delivery replica | make replica-database-url
printf 'redis://:%s@valkey:6379/0\n' "$(cat secrets/valkey-password)" | make valkey-url

missing=
for name in email-url backup-recipients; do [ -s "secrets/$name" ] || missing="$missing secrets/$name"; done
for name in certificate.pem key.pem; do [ -s "tls/$name" ] || missing="$missing tls/$name"; done
if [ -n "$missing" ]; then
    echo "Still to be written by you, below $(pwd):$missing" >&2
    echo "(email-url: smtp+tls://user:password@host:587; backup-recipients: the public key of age-keygen)" >&2
    exit 1
fi
# Compose gives a file to a container as it is: each is read there by another user. The folder around them stays closed.
chmod 0711 secrets tls
chmod 0644 secrets/* tls/*
