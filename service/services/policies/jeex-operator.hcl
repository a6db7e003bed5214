# Whoever runs `jeex secrets`: looks after secrets and rotates them. No policies, no mounts, no roles, no logins of PostgreSQL's.
path "secret/data/jeex/*"     { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/jeex"   { capabilities = ["list"] }
path "secret/metadata/jeex/*" { capabilities = ["create", "read", "update", "list", "delete"] }
path "secret/delete/jeex/*"   { capabilities = ["update"] }
path "secret/undelete/jeex/*" { capabilities = ["update"] }
path "secret/destroy/jeex/*"  { capabilities = ["update"] }

# The key that signs tokens: rotated, old versions retired. Never exported, never deleted.
path "transit/keys/jwt"        { capabilities = ["read"] }
path "transit/keys/jwt/rotate" { capabilities = ["update"] }
path "transit/keys/jwt/config" { capabilities = ["update"] }

# Logins of PostgreSQL's: counted and ended, not made. The password that makes them: changed, never seen.
path "database/rotate-root/jeex"             { capabilities = ["update"] }
path "sys/leases/lookup/database/creds/*"    { capabilities = ["list", "sudo"] }
path "sys/leases/revoke" {
  capabilities       = ["update"]
  allowed_parameters = { "lease_id" = ["database/creds/*"], "sync" = [] }
}

# To show them, and whether they are as this version of jeex has them.
path "sys/policies/acl/jeex-*" { capabilities = ["read"] }
