{{- define "kratos.config" -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.kratos.base) .Values.kratos.config) }}
{{- end }}

{{- define "kratos.labels" -}}
app.kubernetes.io/name: kratos
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kratos.env" -}}
- name: DSN
  valueFrom: {secretKeyRef: {name: kratos, key: dsn}}
- name: SECRETS_DEFAULT
  valueFrom: {secretKeyRef: {name: kratos, key: secretsDefault}}
- name: SECRETS_COOKIE
  valueFrom: {secretKeyRef: {name: kratos, key: secretsCookie}}
- name: SECRETS_CIPHER
  valueFrom: {secretKeyRef: {name: kratos, key: secretsCipher}}
{{- end }}
