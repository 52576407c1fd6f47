{{- define "trainyard.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trainyard.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trainyard.labels" -}}
{{ include "trainyard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "trainyard.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "trainyard.name" .) }}
{{- end }}

{{- define "trainyard.image" -}}
{{- $repository := required "image.repository: the operator's image is needed" .Values.image.repository }}
{{- if .Values.image.digest }}{{ printf "%s@%s" $repository .Values.image.digest }}
{{- else }}{{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}{{ end }}
{{- end }}

{{- /* Pods of hooks are none of the Deployment's: not counted by its budget, not behind its Service. */}}
{{- define "trainyard.hookLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-hook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trainyard.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- define "trainyard.hookPod" -}}
restartPolicy: Never
automountServiceAccountToken: true
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 0 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "trainyard.hookContainer" -}}
image: {{ include "trainyard.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
resources:
  requests: {cpu: 50m, memory: 64Mi}
  limits: {memory: 128Mi}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* CEL: whether a value is one of a list, or begins as one of it that ends in a star does. */}}
{{- define "trainyard.matches" -}}
{{- $value := .value }}{{ $terms := list }}
{{- range .list }}
{{- if hasSuffix "*" . }}{{ $terms = append $terms (printf "%s.startsWith('%s')" $value (trimSuffix "*" .)) }}
{{- else }}{{ $terms = append $terms (printf "%s == '%s'" $value .) }}{{ end }}
{{- end }}
{{- if $terms }}({{ join " || " $terms }}){{ else }}false{{ end }}
{{- end }}

{{- define "trainyard.namespaces" -}}
{{- include "trainyard.matches" (dict "value" "request.namespace" "list" .) }}
{{- end }}
