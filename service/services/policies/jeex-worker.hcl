# The worker: does jobs, and rotates what is due. It reads no secret but the queue's key, which it makes,
# and what it must write anew.
path "secret/data/jeex/queue-key"    { capabilities = ["create", "read"] }
path "database/creds/app"            { capabilities = ["read"] }
path "database/creds/admin"          { capabilities = ["read"] }
path "secret/data/jeex/database"     { capabilities = ["create", "read", "update"] }
path "secret/data/jeex/api-pepper"   { capabilities = ["create", "update"] }
path "secret/data/jeex/rotation/*"   { capabilities = ["create", "read", "update"] }
path "secret/metadata/jeex/*"        { capabilities = ["read"] }
path "secret/data/jeex/settings"     { capabilities = ["read"] }
path "transit/keys/jwt"              { capabilities = ["read"] }
path "transit/keys/jwt/rotate"       { capabilities = ["update"] }
path "transit/keys/jwt/config"       { capabilities = ["update"] }
path "database/rotate-root/jeex"     { capabilities = ["update"] }

# Its own logins, ended when it ends.
path "sys/leases/revoke" {
  capabilities       = ["update"]
  allowed_parameters = { "lease_id" = ["database/creds/*"], "sync" = [] }
}

# Its next way in, for when it is started again: wrapped, and good for one use.
path "auth/approle/role/jeex-worker/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "720h"
}
