path "KV_MOUNT/data/PREFIX*" { capabilities = ["read", "list"] }
path "KV_MOUNT/metadata/PREFIX*" { capabilities = ["read", "list"] }
