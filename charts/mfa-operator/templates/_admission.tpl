{{/* Whether the admission policy called .name is installed: as its values say, else where the operator serves the whole
cluster. Where it serves some namespaces, nobody shall believe it to be there that is not. */}}
{{- define "mfa-operator.admission.enabled" -}}
{{- $enabled := (get .root.Values.admission .name).enabled -}}
{{- if kindIs "invalid" $enabled }}
{{- if .root.Values.watchNamespaces }}
{{- fail (printf "admission.%s.enabled: with watchNamespaces set, say whether this release brings the admission policy. true: it does, which takes rights to the cluster. false: it does not, and nothing is refused by it unless an administrator applies it (docs/security.md, and \"Some namespaces only\" in the chart's README)" .name) }}
{{- end }}
{{- $enabled = true }}
{{- end -}}
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

{{/* CEL, true where .value has no key but those of .form, and below each what that says: text of a regular expression,
true for true or false, a list of an item's form and how many there may be, or a map. */}}
{{- define "mfa-operator.admission.form" -}}
{{- $value := .value -}}
{{- if kindIs "string" .form -}}
type({{ $value }}) == string && {{ $value }}.matches(r'^(?:{{ .form }})$')
{{- else if kindIs "bool" .form -}}
{{ $value }} in [true, false]
{{- else if kindIs "slice" .form -}}
{{- $item := printf "i%d" (len $value) -}}
(type({{ $value }}) == list && size({{ $value }}) <= {{ index .form 1 | int }} && {{ $value }}.all({{ $item }}, {{ include "mfa-operator.admission.form" (dict "value" $item "form" (index .form 0)) }}))
{{- else -}}
{{- $keys := keys .form | sortAlpha -}}
(type({{ $value }}) == map && {{ $value }}.all(k, k in ['{{ join "', '" $keys }}'])
{{- range $keys }} && (!has({{ $value }}.{{ . }}) || {{ include "mfa-operator.admission.form" (dict "value" (printf "%s.%s" $value .) "form" (get $.form .)) }}){{ end -}}
)
{{- end -}}
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
  validationActions: [Deny, Audit]
  {{- with .namespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
  {{- end }}
{{- end }}
