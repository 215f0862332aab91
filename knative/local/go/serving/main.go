// servlint does for Knative Services what knlint does for Knative Eventing's kinds, with every optional feature at its
// default: what passes here is what a fresh Serving takes.
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
	yamlreader "k8s.io/apimachinery/pkg/util/yaml"
	"knative.dev/pkg/apis"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"
)

// lint returns the document with defaults; kinds that are not Serving's pass unchanged.
func lint(ctx context.Context, document []byte) ([]byte, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return nil, err
	}
	if meta.APIVersion != "serving.knative.dev/v1" || meta.Kind != "Service" {
		return document, nil
	}
	service := &servingv1.Service{}
	if err := yaml.UnmarshalStrict(document, service); err != nil {
		return nil, fmt.Errorf("Service %s: %w", service.Name, err)
	}
	ctx = apis.WithinCreate(ctx)
	service.SetDefaults(ctx)
	if err := service.Validate(ctx).Filter(apis.ErrorLevel); err != nil {
		return nil, fmt.Errorf("Service %s: %w", service.Name, err)
	}
	return yaml.Marshal(service)
}

func main() {
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
			document, err = lint(context.Background(), document)
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
