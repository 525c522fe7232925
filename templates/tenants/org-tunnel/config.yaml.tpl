tunnel: TUNNEL_ID
credentials-file: /etc/cloudflared/credentials/credentials.json
metrics: 0.0.0.0:2000
no-autoupdate: true
ingress:
  - hostname: TUNNEL_HOST
    service: http://el-github-listener:8080
  - service: http_status:404
