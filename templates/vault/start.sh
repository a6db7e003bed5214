#!/bin/sh
# Starts the server of whichever image JEEX_VAULT_IMAGE names: OpenBao sets itself up and opens itself, HashiCorp's Vault is
# initialised and opened by `jeex secrets unseal`.
set -eu
case "$IMAGE" in
  *bao*) exec bao server -config=/etc/jeex/openbao.hcl -config=/etc/jeex/audit.hcl -config=/etc/jeex/listener.hcl ;;
esac
# The driver takes the password from PGPASSWORD: it is in no argument.
export VAULT_PG_CONNECTION_URL="postgres://$PGUSER@$PGHOST:$PGPORT/$PGDATABASE?sslmode=$PGSSLMODE"
program=$(command -v vault || command -v bao)
set -- server -config=/etc/jeex/vault.hcl -config=/etc/jeex/listener.hcl
# Under whatever name, OpenBao has its audit log from its configuration; HashiCorp's Vault is told through its API.
case "$("$program" version)" in OpenBao*) set -- "$@" -config=/etc/jeex/audit.hcl ;; esac
exec "$program" "$@"
