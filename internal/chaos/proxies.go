package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// links are the ways from one node to the database and to the park.
type links struct{ database, park *toxiproxy.Proxy }

// lay lays the links of all nodes. There is no link to a database that is a file.
func (r *run) lay() error {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for i := range r.Nodes {
		l := links{park: toxiproxy.NewProxy(server, fmt.Sprintf("park%d", i), "127.0.0.1:0", strings.TrimPrefix(r.parkURL, "http://"))}
		if err := l.park.Start(); err != nil {
			return err
		}
		r.links = append(r.links, l)
		if r.postgres == nil {
			continue
		}
		l.database = toxiproxy.NewProxy(server, fmt.Sprintf("database%d", i), "127.0.0.1:0", r.postgres.Addr())
		if err := l.database.Start(); err != nil {
			return err
		}
		r.links[i] = l
	}
	return nil
}

func (r *run) cut() {
	for _, l := range r.links {
		l.park.Stop()
		if l.database != nil {
			l.database.Stop()
		}
	}
}

// toxic is what may befall a link.
type toxic struct {
	name string
	// parts are toxiproxy's: one for each direction.
	parts []string
}

func toxicKinds() []toxic {
	const (
		// Without a timeout of its own, timeout swallows what comes until it is removed, and closes the connection then.
		swallow = `{"name":"%s","type":"timeout","stream":"%s","attributes":{"timeout":0}}`
		reset   = `{"name":"%s","type":"reset_peer","stream":"%s","attributes":{"timeout":0}}`
		latency = `{"name":"%s","type":"latency","stream":"%s","attributes":{"latency":400,"jitter":300}}`
	)
	return []toxic{
		{"black hole", []string{fmt.Sprintf(swallow, "up", "upstream"), fmt.Sprintf(swallow, "down", "downstream")}},
		{"half open", []string{fmt.Sprintf(swallow, "down", "downstream")}},
		{"reset", []string{fmt.Sprintf(reset, "up", "upstream"), fmt.Sprintf(reset, "down", "downstream")}},
		{"latency", []string{fmt.Sprintf(latency, "up", "upstream"), fmt.Sprintf(latency, "down", "downstream")}},
	}
}

// toxics does each kind of damage to links, Count times, between a node and the database and between a node and the park.
func toxics(ctx context.Context, r *run) error {
	type deed struct {
		toxic
		database bool
	}
	var deeds []deed
	for range r.Count {
		for _, kind := range toxicKinds() {
			deeds = append(deeds, deed{kind, false})
			if r.postgres != nil {
				deeds = append(deeds, deed{kind, true})
			}
		}
	}
	r.random.Shuffle(len(deeds), func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })
	for len(deeds) > 0 && ctx.Err() == nil {
		pause(ctx, time.Duration(r.random.Int64N(int64(r.Lease/2))))
		v, ok := r.cluster.pickHealthy()
		if !ok {
			continue
		}
		proxy, where := r.links[v.member.number].park, "to the park"
		if deeds[0].database {
			proxy, where = r.links[v.member.number].database, "to the database"
		}
		if err := r.poison(ctx, proxy, deeds[0].toxic, v.name, where); err != nil {
			return err
		}
		deeds = deeds[1:]
	}
	return ctx.Err()
}

// poison has a toxic on a link for a while.
func (r *run) poison(ctx context.Context, proxy *toxiproxy.Proxy, kind toxic, node, where string) error {
	r.recorder.fault(kind.name, node, where)
	for _, part := range kind.parts {
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(part)); err != nil {
			return errors.Join(errors.New("toxic "+kind.name+" can't be added"), err)
		}
	}
	pause(ctx, r.Lease/2+time.Duration(r.random.Int64N(int64(2*r.Lease))))
	proxy.Toxics.ResetToxics(context.WithoutCancel(ctx))
	if where == "to the database" {
		r.recorder.fault("healed", node, "")
	}
	return nil
}
