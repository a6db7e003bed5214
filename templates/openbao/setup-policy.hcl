# What `jeex up` (the seed process) may do to a Vault: bring it to the state that this version of jeex needs. It reads no secret.
path "sys/mounts"              { capabilities = ["read"] }
path "sys/mounts/secret"       { capabilities = ["create", "read", "update"] }
path "sys/mounts/transit"      { capabilities = ["create", "read", "update"] }
path "sys/mounts/database"     { capabilities = ["create", "read", "update"] }
path "sys/policies/acl/jeex-*" { capabilities = ["create", "read", "update"] }
path "sys/audit"               { capabilities = ["read", "sudo"] }
path "sys/audit/jeex"          { capabilities = ["create", "update", "sudo"] }
path "sys/config/auditing/request-headers"   { capabilities = ["read", "sudo"] }
path "sys/config/auditing/request-headers/*" { capabilities = ["create", "read", "update", "sudo"] }
path "auth/approle/role/jeex-operator/*" { capabilities = ["create", "read", "update", "list"] }
path "auth/approle/role/jeex-*"          { capabilities = ["create", "read", "update"] }

# A process of the service gets its secret id wrapped, and in no other way.
path "auth/approle/role/jeex-api/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "720h"
}
path "auth/approle/role/jeex-worker/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "720h"
}

# Where logins of PostgreSQL's are made, and which there are.
path "database/config/jeex"  { capabilities = ["create", "read", "update"] }
path "database/roles/app"    { capabilities = ["create", "read", "update"] }
path "database/roles/admin"  { capabilities = ["create", "read", "update"] }

# The first version of what is missing: whether there is one says the metadata, which holds no value.
path "transit/keys/jwt"            { capabilities = ["create", "read", "update"] }
path "secret/data/jeex/api-pepper" { capabilities = ["create", "update"] }
path "secret/data/jeex/database"   { capabilities = ["create", "update"] }
path "secret/metadata/jeex/*"      { capabilities = ["create", "read", "update"] }
