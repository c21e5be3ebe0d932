{{- define "mfa-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mfa-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mfa-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mfa-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Whatever commonLabels says, these stay: objects are found by them. */}}
{{- define "mfa-operator.labels" -}}
{{- $own := include "mfa-operator.selectorLabels" . | fromYaml }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- merge $own .Values.commonLabels | toYaml }}
{{- end }}

{{/* The Lease that the operators of this release share, beside their Deployment. */}}
{{- define "mfa-operator.lease" -}}
{{ include "mfa-operator.fullname" . }}
{{- end }}

{{/* How long the Lease is held in silence: what extraEnv says, else what the operator does by itself. */}}
{{- define "mfa-operator.leaseSeconds" -}}
{{- $seconds := (.Files.Get "files/names.json" | fromJson).lease.seconds | int -}}
{{- range .Values.extraEnv }}
{{- if eq .name "MFA_OPERATOR_LEASE_DURATION" }}
{{- if not (regexMatch "^[1-9][0-9]*s$" (.value | default "")) }}
{{- fail "extraEnv: write MFA_OPERATOR_LEASE_DURATION in seconds, for example 30s: the admission policy confines the Lease to twice that" }}
{{- end }}
{{- $seconds = trimSuffix "s" .value | int -}}
{{- end }}
{{- end }}
{{- $seconds -}}
{{- end }}

{{/* Where helm test puts its policy: a namespace that the operator serves. */}}
{{- define "mfa-operator.testNamespace" -}}
{{- with .Values.tests.namespace }}
{{- if and $.Values.watchNamespaces (not (has . $.Values.watchNamespaces)) }}
{{- fail (printf "tests.namespace: the operator does not serve %s; choose one of %s" . (join ", " $.Values.watchNamespaces)) }}
{{- end }}
{{- end }}
{{- .Values.tests.namespace | default (first .Values.watchNamespaces) | default .Release.Namespace }}
{{- end }}

{{- define "mfa-operator.serviceAccountName" -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false: name the account in serviceAccount.name, so that not every pod that has none of its own may patch workloads" }}
{{- end }}
{{- default (include "mfa-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "mfa-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "mfa-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "mfa-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* What the operator may do in a namespace that it serves: no verb that it does not use. */}}
{{- define "mfa-operator.rules" -}}
- apiGroups: [mfa-operator.dev]
  resources: [mfapolicies]
  verbs: [get, list, watch]
- apiGroups: [mfa-operator.dev]
  resources: [mfapolicies/status]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get, list, watch, patch]
# A Deployment's pods name one of its ReplicaSets, and that their template.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What it may do beside that, unless rbac.deleteStuckPods is off. */}}
{{- define "mfa-operator.podRules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
{{- end }}

{{- define "mfa-operator.grantedRules" -}}
{{ include "mfa-operator.rules" . }}
{{- if .Values.rbac.deleteStuckPods }}
{{ include "mfa-operator.podRules" . }}
{{- end }}
{{- end }}

{{/* Its pods are none of the operator's: neither Service nor Deployment may select them. */}}
{{- define "mfa-operator.testName" -}}
{{ include "mfa-operator.name" . | trunc 58 | trimSuffix "-" }}-test
{{- end }}

{{- define "mfa-operator.testLabels" -}}
{{ merge (dict "app.kubernetes.io/name" (include "mfa-operator.testName" .)) (include "mfa-operator.labels" . | fromYaml) | toYaml }}
{{- end }}

{{/* What helm test brings goes again, but for a pod that failed, so that its log can be read. */}}
{{- define "mfa-operator.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* What helm test may do, by the name that its objects have: a right to create cannot be bound to one. */}}
{{- define "mfa-operator.testRules" -}}
- apiGroups: [mfa-operator.dev]
  resources: [mfapolicies]
  verbs: [create]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create]
- apiGroups: [mfa-operator.dev]
  resources: [mfapolicies]
  resourceNames: [{{ . }}]
  # To delete a policy is to weaken it.
  verbs: [get, delete, weaken]
- apiGroups: [apps]
  resources: [deployments]
  resourceNames: [{{ . }}]
  verbs: [get, delete]
{{- end }}
