package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/study/catalog"
	"github.com/goinfer/goinfer/study/params"
)

// Plan is what is foretold of a model.
type Plan struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Total     int64  `json:"total"`
	Active    int64  `json:"active"`
	Available int64  `json:"memory_available,omitempty"` // of this machine, 0 if unknown
	Why       string `json:"memory_limit,omitempty"`     // what limits it
	// Rows are every type with every context and every number of sequences. The first ones are of Type.
	Rows []Row `json:"rows"`
	// Devices is how many devices of DeviceBytes the weights need, by the naive reckoning.
	DeviceBytes int64        `json:"device_bytes,omitempty"`
	Devices     []DeviceNeed `json:"devices,omitempty"`
	Speed       *Speed       `json:"speed,omitempty"`
	Compared    *Comparison  `json:"compared,omitempty"`
}

// Row is one way to run a model. What is foretold of its speed is there once the plan has a Speed of its type.
type Row struct {
	Type      string `json:"type"`
	Context   int    `json:"context"`
	Sequences int    `json:"sequences"`
	Memory
	Total int64 `json:"total"`
	Fits  bool  `json:"fits"` // what is available is known, and no less than Total
	// First and Last are the predictions at the beginning of a context and at its end.
	First *Prediction `json:"first,omitempty"`
	Last  *Prediction `json:"last,omitempty"`

	model *params.Model
	load  Load
}

// Grid is what a plan is made for.
type Grid struct {
	Types     []string // the first one is that whose speed is foretold
	Contexts  []int
	Sequences []int
	K, V      kv.Type
}

// New works out everything but speed.
func New(m *params.Model, g Grid) (*Plan, error) {
	r, err := m.Report()
	if err != nil {
		return nil, err
	}
	p := &Plan{Name: m.Name, Total: r.Total, Active: r.Active}
	var known bool
	p.Available, p.Why, known = mem.Available()
	for i, typ := range g.Types {
		as := m
		if !m.Stored || !strings.EqualFold(typ, m.Recipe) {
			if as, err = m.As(typ); err != nil {
				return nil, err
			}
		}
		if i == 0 {
			p.Type = as.Recipe
		}
		for _, context := range g.Contexts {
			for _, n := range g.Sequences {
				row := Row{Type: as.Recipe, Context: context, Sequences: n, model: as, load: Load{Context: context, Sequences: n, K: g.K, V: g.V}}
				if row.Memory, err = Need(as, row.load); err != nil {
					return nil, err
				}
				row.Total = row.Memory.Total()
				row.Fits = known && row.Total <= p.Available
				p.Rows = append(p.Rows, row)
			}
		}
	}
	return p, nil
}

// Model is the model of the plan's type.
func (p *Plan) Model() *params.Model { return p.Rows[0].model }

// With enters a speed, and what it foretells of the rows of its type.
func (p *Plan) With(s *Speed) error {
	p.Speed = s
	for i := range p.Rows {
		r := &p.Rows[i]
		if r.Type != s.Type {
			continue
		}
		first, err := s.Predict(r.model, r.load, 0)
		if err != nil {
			return err
		}
		last, err := s.Predict(r.model, r.load, r.Context)
		if err != nil {
			return err
		}
		r.First, r.Last = &first, &last
	}
	return nil
}

// DeviceNeed is a number of devices.
type DeviceNeed struct {
	Precision string `json:"precision"`
	Weights   int64  `json:"weights"` // bytes
	Devices   int    `json:"devices"` // that hold the weights
	// WithReserve leaves a fifth of each device to the cache, activations and the rest.
	WithReserve int `json:"devices_with_reserve"`
}

// reserve is the share of a device that is left to everything but weights.
const reserve = 0.2

// Devices is how many devices of so many bytes, at least one, parameters need in FP16, INT8 and INT4, at 2, 1 and ½ bytes each.
func Devices(parameters, device int64) []DeviceNeed {
	var ds []DeviceNeed
	for _, d := range []struct {
		name  string
		bytes int64
	}{{"FP16", 2 * parameters}, {"INT8", parameters}, {"INT4", (parameters + 1) / 2}} {
		usable := max(1, int64(float64(device)*(1-reserve)))
		ds = append(ds, DeviceNeed{d.name, d.bytes, int((d.bytes + device - 1) / device), int((d.bytes + usable - 1) / usable)})
	}
	return ds
}

// Choice is a known model that would do.
type Choice struct {
	Name   string  `json:"name"`
	About  string  `json:"about"`
	Total  int64   `json:"total"`
	Active int64   `json:"active"` // that a token reads: of an embedding that is no head, one row
	Memory int64   `json:"memory"`
	Rate   float64 `json:"tokens_per_s"`
}

// Choose lists the known models in the type of a speed that take at most so many bytes and make at least so many tokens a second, the largest first. The speed is that of the
// calibration: bytes of one model cost what those of another do. Left out are models whose rows or heads are no whole blocks of the type or of the cache's format.
func Choose(s *Speed, l Load, memory int64, rate float64) ([]Choice, error) {
	var choices []Choice
	for _, name := range catalog.Names() {
		m, err := params.Shape(name)
		if err != nil {
			return nil, err
		}
		if m, err = m.As(s.Type); err != nil {
			continue
		}
		at := l
		at.Context = min(l.Context, m.Config.NCtx)
		need, err := Need(m, at)
		if err != nil {
			continue
		}
		p, err := s.Predict(m, at, at.Context/2)
		if err != nil {
			return nil, err
		}
		if need.Total() > memory || p.Rate < rate {
			continue
		}
		n := catalog.Count(m.Tensors)
		choices = append(choices, Choice{name, m.About, n.Weights, n.ActiveWeights, need.Total(), p.Rate})
	}
	slices.SortStableFunc(choices, func(a, b Choice) int { return cmp.Compare(b.Total, a.Total) })
	return choices, nil
}
