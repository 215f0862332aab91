// knlint does to manifests what Knative's webhook would, without a cluster: strict decoding, defaults, validation.
// YAML on stdin, the same with defaults on stdout, complaints on stderr and exit code 1.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	defaults "knative.dev/eventing/pkg/apis/config"
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/eventing/pkg/apis/feature"
	messagingv1 "knative.dev/eventing/pkg/apis/messaging/v1"
	sourcesv1 "knative.dev/eventing/pkg/apis/sources/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

type resource interface {
	apis.Defaultable
	apis.Validatable
	runtime.Object
}

var kinds = map[string]func() resource{
	"eventing.knative.dev/v1/Broker":           func() resource { return &eventingv1.Broker{} },
	"eventing.knative.dev/v1/Trigger":          func() resource { return &eventingv1.Trigger{} },
	"messaging.knative.dev/v1/InMemoryChannel": func() resource { return &messagingv1.InMemoryChannel{} },
	"messaging.knative.dev/v1/Subscription":    func() resource { return &messagingv1.Subscription{} },
	"sources.knative.dev/v1/ApiServerSource":   func() resource { return &sourcesv1.ApiServerSource{} },
	"sources.knative.dev/v1/ContainerSource":   func() resource { return &sourcesv1.ContainerSource{} },
	"sources.knative.dev/v1/PingSource":        func() resource { return &sourcesv1.PingSource{} },
	"sources.knative.dev/v1/SinkBinding":       func() resource { return &sourcesv1.SinkBinding{} },
}

const brokerDefaults = `clusterDefault:
  brokerClass: MTChannelBasedBroker
  apiVersion: v1
  kind: ConfigMap
  name: config-br-default-channel
  namespace: knative-eventing
`

// lint returns the document with defaults; kinds that are not Knative's pass unchanged.
func lint(ctx context.Context, document []byte) ([]byte, error) {
	var meta struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return nil, err
	}
	create := kinds[meta.APIVersion+"/"+meta.Kind]
	if create == nil {
		return document, nil
	}
	object := create()
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return nil, fmt.Errorf("%s %s: %w", meta.Kind, meta.Name, err)
	}
	ctx = apis.WithinParent(apis.WithinCreate(ctx), meta.ObjectMeta)
	object.SetDefaults(ctx)
	if err := object.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
		return nil, fmt.Errorf("%s %s: %w", meta.Kind, meta.Name, err)
	}
	return yaml.Marshal(object)
}

func main() {
	config, err := defaults.NewDefaultsConfigFromMap(map[string]string{"default-br-config": brokerDefaults})
	if err != nil {
		panic(err)
	}
	ctx := defaults.ToContext(context.Background(), &defaults.Config{Defaults: config})
	ctx = feature.ToContext(ctx, feature.Flags{})
	reader := yamlreader.NewYAMLReader(bufio.NewReader(os.Stdin))
	failed := false
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		if err == nil {
			document, err = lint(ctx, document)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			failed = true
			continue
		}
		fmt.Printf("---\n%s", document)
	}
	if failed {
		os.Exit(1)
	}
}
