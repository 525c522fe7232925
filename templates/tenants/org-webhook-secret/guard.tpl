{{- if not (hasKey .Secrets "KEY") -}}{{- fail "key KEY is missing" -}}{{- end -}}{{- get .Secrets "KEY" -}}
