// eventing runs Knative Eventing's control plane (broker, trigger, channel, subscription, sources) and its in-memory
// channel in one process outside a cluster. Only upstream constructors are composed here; the broker's ingress and
// filter run as they come.
package main

import (
	"knative.dev/eventing/pkg/apis/sinks"
	"knative.dev/eventing/pkg/auth"
	"knative.dev/eventing/pkg/eventingtls"
	"knative.dev/eventing/pkg/reconciler/apiserversource"
	"knative.dev/eventing/pkg/reconciler/broker"
	trigger "knative.dev/eventing/pkg/reconciler/broker/trigger"
	"knative.dev/eventing/pkg/reconciler/channel"
	imccontroller "knative.dev/eventing/pkg/reconciler/inmemorychannel/controller"
	imcdispatcher "knative.dev/eventing/pkg/reconciler/inmemorychannel/dispatcher"
	"knative.dev/eventing/pkg/reconciler/pingsource"
	"knative.dev/eventing/pkg/reconciler/sinkbinding"
	"knative.dev/eventing/pkg/reconciler/subscription"
	filtered "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"
)

func main() {
	ctx := filtered.WithSelectors(signals.NewContext(),
		auth.OIDCLabelSelector,
		eventingtls.TrustBundleLabelSelector,
		sinks.JobSinkJobsLabelSelector,
	)
	ctx = sharedmain.WithHealthProbesDisabled(ctx)
	ctx = sharedmain.WithHADisabled(ctx)
	sharedmain.MainWithContext(ctx, "eventing",
		channel.NewController,
		subscription.NewController,
		apiserversource.NewController,
		pingsource.NewController,
		sinkbinding.NewController,
		broker.NewController,
		trigger.NewController,
		imccontroller.NewController,
		imcdispatcher.NewController,
	)
}
