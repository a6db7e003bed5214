# The API: reads what it needs, signs tokens, gets logins of PostgreSQL's for itself. Writes nothing.
path "secret/data/jeex/api-pepper" { capabilities = ["read"] }
path "secret/data/jeex/database"   { capabilities = ["read"] }
path "secret/data/jeex/settings"   { capabilities = ["read"] }
path "secret/data/jeex/oauth/*"    { capabilities = ["read"] }
path "transit/keys/jwt"            { capabilities = ["read"] }
path "transit/sign/jwt"            { capabilities = ["update"] }
path "transit/sign/jwt/*"          { capabilities = ["update"] }
path "database/creds/app"          { capabilities = ["read"] }
path "database/creds/admin"        { capabilities = ["read"] }

# Its own logins, ended when it ends.
path "sys/leases/revoke" {
  capabilities       = ["update"]
  allowed_parameters = { "lease_id" = ["database/creds/*"], "sync" = [] }
}

# Its next way in, for when it is started again: wrapped, and good for one use.
path "auth/approle/role/jeex-api/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "720h"
}
