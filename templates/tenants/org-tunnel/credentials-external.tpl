{"AccountTag":"TUNNEL_ACCOUNT","TunnelSecret":"{{ .tunnelSecret }}","TunnelID":"TUNNEL_ID"}
