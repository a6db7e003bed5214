# The API: reads its own settings and credentials, signs tokens, publishes the public keys. Writes nothing.
path "secret/data/jeex/*"     { capabilities = ["read"] }
path "transit/keys/jwt"       { capabilities = ["read"] }
path "transit/sign/jwt"       { capabilities = ["update"] }
path "transit/sign/jwt/*"     { capabilities = ["update"] }
