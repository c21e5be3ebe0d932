{{/* Whether an admission policy is installed: as its values say, else where the operator serves the whole cluster. */}}
{{- define "mfa-operator.admission.enabled" -}}
{{- $enabled := .own.enabled -}}
{{- if kindIs "invalid" $enabled }}{{ $enabled = empty .root.Values.namespaces }}{{ end -}}
{{- if $enabled }}true{{ end -}}
{{- end }}

{{/* CEL, true where k is one of these names, or below one of them that ends with a slash. */}}
{{- define "mfa-operator.admission.among" -}}
{{- $names := list -}}
{{- $domains := list -}}
{{- range . }}
{{- if hasSuffix "/" . }}{{ $domains = append $domains (printf " || k.startsWith('%s')" .) }}{{ else }}{{ $names = append $names (squote .) }}{{ end -}}
{{- end -}}
k in [{{ join ", " $names }}]{{ join "" $domains }}
{{- end }}

{{/* CEL, true where the maps .new and .old differ in no key but those among .except. */}}
{{- define "mfa-operator.admission.same" -}}
{{- $except := include "mfa-operator.admission.among" .except -}}
({{ .new }}.all(k, {{ $except }} || k in {{ .old }} && {{ .new }}[k] == {{ .old }}[k]) && {{ .old }}.all(k, {{ $except }} || k in {{ .new }}))
{{- end }}

{{/* CEL, true where what the method .old has, its switch and what people are shown aside, .new has, too. Both are optional. */}}
{{- define "mfa-operator.admission.kept" -}}
{{ .old }}.orValue({}).all(f, f in ['enabled', 'issuer', 'rp'] || {{ .old }}[?f] == {{ .new }}[?f]) && {{ .old }}.?rp.orValue({}).all(f, f == 'displayName' || {{ .old }}.?rp[?f] == {{ .new }}.?rp[?f])
{{- end }}

{{- define "mfa-operator.admission.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "mfa-operator.serviceAccountName" . }}
{{- end }}

{{/* In .namespaces, or everywhere where there are none. */}}
{{- define "mfa-operator.admission.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels: {{- include "mfa-operator.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
  {{- with .namespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
  {{- end }}
{{- end }}
