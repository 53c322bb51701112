{{- define "nodeeni.labels" -}}
app.kubernetes.io/name: nodeeni
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "nodeeni.image" -}}
{{- with .Values.image -}}
{{- if not .repository -}}
{{ fail "image.repository names no image, and none of nodeeni is published yet: build yours (docs/install.md) and name it, --set image.repository=registry.example/nodeeni" }}
{{- else if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else if contains "$" .repository -}}
{{ .repository }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Flags of a program: `resyncPeriod: 5m` becomes --resync-period=5m. */}}
{{- define "nodeeni.flags" -}}
{{- range $name, $value := . }}
- --{{ kebabcase $name }}={{ $value }}
{{- end }}
{{- end }}
