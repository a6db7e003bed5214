# jeex itself: seeds and rotates what the platform needs. No policies, no mounts, no other roles.
path "secret/data/jeex/*"     { capabilities = ["create", "read", "update", "delete"] }
path "secret/metadata/jeex"   { capabilities = ["list"] }
path "secret/metadata/jeex/*" { capabilities = ["read", "list", "delete"] }
path "secret/delete/jeex/*"   { capabilities = ["update"] }
path "secret/undelete/jeex/*" { capabilities = ["update"] }
path "secret/destroy/jeex/*"  { capabilities = ["update"] }
path "secret/config"          { capabilities = ["read"] }

# The key that signs tokens: made, rotated, old versions retired. Never exported, never deleted.
path "transit/keys/jwt"        { capabilities = ["create", "read", "update"] }
path "transit/keys/jwt/rotate" { capabilities = ["update"] }
path "transit/keys/jwt/config" { capabilities = ["update"] }

# A secret id for the API, handed over wrapped.
path "auth/approle/role/jeex-api/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "10m"
}
