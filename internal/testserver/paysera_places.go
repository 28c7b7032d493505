package testserver

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The projects: the merchant's and another's.
const (
	projectMain  = 123
	projectOther = 124
)

// The locations: two of the merchant's, one of another, one that is not active.
const (
	locationCafe     = 9975
	locationTerrace  = 3
	locationOther    = 48
	locationInactive = 9976
)

// walletProject is a project.
type walletProject struct {
	ID                 int64
	Title, Description string
	Wallet             int64
	Owner              string
}

// walletLocation is a place of a project.
type walletLocation struct {
	ID, Project                 int64
	Title, Description, Address string
	Lat, Lng                    float64
	Radius                      int64
	Updated                     time.Time
	Status                      string
	Kept                        map[string]json.RawMessage // what is kept as it came
}

func (w *walletWorld) project(id int64) *walletProject {
	for _, one := range w.Projects {
		if one.ID == id {
			return one
		}
	}
	return nil
}

func (w *walletWorld) location(id int64) *walletLocation {
	for _, one := range w.Locations {
		if one.ID == id {
			return one
		}
	}
	return nil
}

func (p *Paysera) seedLocations() []*walletLocation {
	now := p.engine.now()
	hours := json.RawMessage(`{"monday":{"opening_time":"08:00","closing_time":"17:00"},"friday":{"opening_time":"08:00","closing_time":"24:00"}}`)
	pay := json.RawMessage(`{"pay":{"available":true,"categories":[1]},"cash_in":{"available":false,"types":[]}}`)
	return []*walletLocation{
		{
			ID: locationTerrace, Project: projectMain, Title: "Cool terrace", Address: "Mėnulio g. 7, Vilnius, Lithuania",
			Lat: 54.668516, Lng: 25.235055, Updated: now, Status: "active",
			Kept: map[string]json.RawMessage{"working_hours": json.RawMessage(`[]`), "services": pay}, // so PHP writes an empty map
		},
		{
			ID: locationOther, Project: projectOther, Title: "Other shop", Address: "Pilaitės pr. 16, Vilnius",
			Lat: 54.699205, Lng: 25.21356, Updated: now, Status: "active", Kept: map[string]json.RawMessage{"services": pay},
		},
		{
			ID: locationCafe, Project: projectMain, Title: "Cool caffe", Description: "Coffee and cakes for everyone, even you!", Address: "address",
			Lat: 54.668516, Lng: 25.235055, Updated: now, Status: "active",
			Kept: map[string]json.RawMessage{"working_hours": hours, "services": pay},
		},
		{ID: locationInactive, Project: projectMain, Title: "Cool cellar", Updated: now, Status: "inactive"},
	}
}

func (p *Paysera) placeRoutes() []walletRoute {
	search := []string{"lat", "lng", "distance", "updated_after", "status", "pay_category", "service", "limit", "offset", "fields"}
	return []walletRoute{
		{http.MethodGet, "server", callerAnyone, nil, func(*walletCall) (any, error) {
			return map[string]any{"time": p.now().Unix()}, nil
		}},
		{http.MethodGet, "locations", callerAnyone, search, p.listLocations},
		{http.MethodGet, "locations/pay-categories", callerAnyone, nil, func(*walletCall) (any, error) {
			return []any{map[string]any{"id": 1, "title": "Cafes"}, map[string]any{"id": 2, "title": "Tea rooms", "parent_id": 1}}, nil
		}},
		{http.MethodGet, "client", callerEither, []string{"fields"}, p.clientCall},
		{http.MethodGet, "client/locations", callerMerchant, []string{"fields"}, func(*walletCall) (any, error) {
			return p.projectLocations(projectMain), nil
		}},
		{http.MethodGet, "project/{id}", callerMerchant, []string{"fields"}, p.projectCall(func(_ *walletCall, one *walletProject) (any, error) {
			return p.projectDocument(one), nil
		})},
		{http.MethodPut, "project/{id}", callerMerchant, []string{"fields"}, p.projectCall(p.editProject)},
		{http.MethodGet, "project/{id}/locations", callerMerchant, []string{"fields"}, p.projectCall(func(_ *walletCall, one *walletProject) (any, error) {
			return p.projectLocations(one.ID), nil
		})},
		{http.MethodPost, "project/{id}/location", callerMerchant, []string{"fields"}, p.projectCall(p.createLocation)},
		{http.MethodPut, "location/{id}", callerMerchant, []string{"fields"}, p.editLocation},
	}
}

func (p *Paysera) locationDocument(one *walletLocation) document {
	plain := map[string]any{
		"id": one.ID, "project_id": one.Project, "title": one.Title, "description": nil, "address": one.Address,
		"lat": one.Lat, "lng": one.Lng, "radius": one.Radius, "updated_at": one.Updated.Unix(), "status": one.Status,
	}
	if one.Description != "" {
		plain["description"] = one.Description
	}
	for name, value := range one.Kept {
		plain[name] = value
	}
	return document{plain: plain}
}

func (p *Paysera) projectLocations(project int64) []document {
	list := []document{}
	for _, one := range p.world.Locations {
		if one.Project == project {
			list = append(list, p.locationDocument(one))
		}
	}
	return list
}

// listLocations lists the locations of all projects. Service and category are looked up in what the locations say.
func (p *Paysera) listLocations(c *walletCall) (any, error) {
	q := c.r.URL.Query()
	statuses := []string{"active"}
	if q.Get("status") != "" {
		statuses = splitList(q.Get("status"))
	}
	for _, status := range statuses {
		if status != "active" && status != "inactive" {
			return nil, invalid("status", "status must be active or inactive")
		}
	}
	near, err := nearby(q)
	if err != nil {
		return nil, err
	}
	var after int64
	if q.Has("updated_after") {
		if after, err = strconv.ParseInt(q.Get("updated_after"), 10, 64); err != nil {
			return nil, invalid("updated_after", "Invalid parameter: updated_after")
		}
	}
	list := []document{}
	for _, one := range p.world.Locations {
		if slices.Contains(statuses, one.Status) && near(one) && one.Updated.Unix() > after-1 && one.serves(q) {
			list = append(list, p.locationDocument(one))
		}
	}
	return page("locations", list, q)
}

// serves reports whether a location has one of the services, and one of the categories, that are asked for.
func (l *walletLocation) serves(q url.Values) bool {
	services := map[string]struct {
		Available  bool    `json:"available"`
		Categories []int64 `json:"categories"`
	}{}
	_ = json.Unmarshal(l.Kept["services"], &services) // none when there are none
	fits := q.Get("service") == ""
	for _, name := range splitList(q.Get("service")) {
		fits = fits || services[name].Available
	}
	if q.Get("pay_category") == "" {
		return fits
	}
	return fits && slices.ContainsFunc(splitList(q.Get("pay_category")), func(text string) bool {
		id, err := strconv.ParseInt(text, 10, 64)
		return err == nil && slices.Contains(services["pay"].Categories, id)
	})
}

// nearby tells which locations are near the place that is asked for: at most 500 m, if nothing else is said.
func nearby(q url.Values) (func(*walletLocation) bool, error) {
	if !q.Has("lat") && !q.Has("lng") && !q.Has("distance") {
		return func(*walletLocation) bool { return true }, nil
	}
	at := map[string]float64{"distance": 500}
	for _, name := range []string{"lat", "lng", "distance"} {
		if name == "distance" && !q.Has(name) {
			continue
		}
		v, err := strconv.ParseFloat(q.Get(name), 64)
		if err != nil {
			return nil, invalid(name, "Invalid parameter: "+name)
		}
		at[name] = v
	}
	return func(l *walletLocation) bool {
		const meters = 111_195 // a degree
		north := (l.Lat - at["lat"]) * meters
		east := (l.Lng - at["lng"]) * meters * math.Cos(at["lat"]*math.Pi/180)
		return math.Hypot(north, east) <= at["distance"]
	}, nil
}

// readLocation reads what a merchant says of a location, and keeps the rest.
func (p *Paysera) readLocation(c *walletCall, one *walletLocation) error {
	b := c.object("id", "project_id", "title", "description", "address", "lat", "lng", "radius", "status", "working_hours", "prices",
		"images", "services", "public", "remote_orders", "spots")
	b.require("title")
	one.Title, one.Description, one.Address, one.Radius = b.text("title"), b.text("description"), b.text("address"), b.integer("radius")
	one.Status = orDefault(b.choice("status", "active", "inactive"), "active")
	for name, to := range map[string]*float64{"lat": &one.Lat, "lng": &one.Lng} {
		if raw := b.raw(name); raw != nil && json.Unmarshal(raw, to) != nil {
			b.fail(name, name+" must be a number")
		}
	}
	one.Kept = b.keep("working_hours", "prices", "images", "services", "public", "remote_orders")
	one.Updated = p.engine.now()
	return b.err
}

func (p *Paysera) createLocation(c *walletCall, project *walletProject) (any, error) {
	one := &walletLocation{Project: project.ID}
	if err := p.readLocation(c, one); err != nil {
		return nil, err
	}
	one.ID = p.id()
	p.world.Locations = append(p.world.Locations, one)
	return p.locationDocument(one), nil
}

func (p *Paysera) editLocation(c *walletCall) (any, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	one := p.world.location(id)
	switch {
	case one == nil:
		return nil, notFound("No such location")
	case !p.ownProject(c.caller, one.Project):
		return nil, forbidden(textOtherProject)
	}
	changed := *one
	if err := p.readLocation(c, &changed); err != nil {
		return nil, err
	}
	*one = changed
	return p.locationDocument(one), nil
}

// projectCall is a call on a project that the client owns.
func (p *Paysera) projectCall(do func(c *walletCall, one *walletProject) (any, error)) func(c *walletCall) (any, error) {
	return func(c *walletCall) (any, error) {
		id, err := c.number("id")
		if err != nil {
			return nil, err
		}
		one := p.world.project(id)
		switch {
		case one == nil:
			return nil, notFound("No such project")
		case !p.ownProject(c.caller, id):
			return nil, forbidden(textOtherProject)
		}
		return do(c, one)
	}
}

func (p *Paysera) projectDocument(one *walletProject) document {
	plain := map[string]any{"id": one.ID, "title": one.Title, "wallet_id": one.Wallet, "owner_display_name": one.Owner}
	if one.Description != "" {
		plain["description"] = one.Description
	}
	return document{plain: plain}
}

// editProject changes title and description. Which members may be sent is a judgment.
func (p *Paysera) editProject(c *walletCall, one *walletProject) (any, error) {
	b := c.object("id", "title", "description", "wallet_id")
	b.require("title")
	title, description := b.text("title"), b.text("description")
	if b.err != nil {
		return nil, b.err
	}
	one.Title, one.Description = title, description
	return p.projectDocument(one), nil
}

// clientCall tells which client calls.
func (p *Paysera) clientCall(c *walletCall) (any, error) {
	if c.client == p.opts.ClientID {
		return map[string]any{
			"title": "Simulated merchant", "type": "private_client", "permissions": []string{"accept_with_pin", "accept_with_flash"},
		}, nil
	}
	return map[string]any{"title": "Simulated wallet app", "type": "app_client", "permissions": []string{"use_password_grant"}}, nil
}
