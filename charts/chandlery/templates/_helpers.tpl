{{- define "chandlery.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "chandlery.configuration" -}}
{{ list .Values.logLevel .Values.nats.kind .Values.nats.url (.Values.tracing).endpoint | toJson | sha256sum | trunc 16 }}
{{- end -}}
