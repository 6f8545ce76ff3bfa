package size

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kv"
)

// Estimate is what a model is expected to need on this machine.
type Estimate struct {
	Name      string `json:"name"`
	Type      string `json:"type"`                       // file type of the first rows
	Total     int64  `json:"total"`                      // parameters
	Active    int64  `json:"active"`                     // parameters active for a token
	Available int64  `json:"memory_available,omitempty"` // memory of this machine, 0 if unknown
	Why       string `json:"memory_limit,omitempty"`     // what limits it
	// Rows are every type with every context and every number of sequences. The first ones are of
	// Type.
	Rows []EstimateRow `json:"rows"`
	// Devices is how many devices of DeviceBytes the weights need, see [CountDevices].
	DeviceBytes int64         `json:"device_bytes,omitempty"`
	Devices     []DeviceCount `json:"devices,omitempty"`
	Speed       *Speed        `json:"speed,omitempty"`
}

// EstimateRow is one way to run a model. Its speed is there once the estimate has a Speed of its
// type.
type EstimateRow struct {
	Type      string `json:"type"`
	Context   int    `json:"context"`
	Sequences int    `json:"sequences"`
	Footprint
	Total int64 `json:"total"`
	Fits  bool  `json:"fits"` // what is available is known, and no less than Total
	// First and Last are the predictions at the beginning of a context and at its end.
	First *Prediction `json:"first,omitempty"`
	Last  *Prediction `json:"last,omitempty"`

	layout   *Layout
	workload Workload
}

// Grid is what an estimate is made for.
type Grid struct {
	Types     []string // file types; the speed is that of the first one
	Contexts  []int
	Sequences []int
	K, V      kv.Type
}

// NewEstimate works out everything but speed.
func NewEstimate(m *Layout, g Grid) (*Estimate, error) {
	n := m.Counts()
	e := &Estimate{Name: m.Name, Total: n.Params, Active: n.Active}
	var known bool
	e.Available, e.Why, known = mem.Available()
	for i, typ := range g.Types {
		as := m
		if !m.Stored || !strings.EqualFold(typ, m.FileType) {
			var err error
			if as, err = m.As(typ); err != nil {
				return nil, err
			}
		}
		if i == 0 {
			e.Type = as.FileType
		}
		for _, context := range g.Contexts {
			for _, n := range g.Sequences {
				w := Workload{Context: context, Sequences: n, K: g.K, V: g.V}
				need, err := as.Footprint(w)
				if err != nil {
					return nil, err
				}
				e.Rows = append(e.Rows, EstimateRow{
					Type: as.FileType, Context: context, Sequences: n, Footprint: need, Total: need.Total(),
					Fits: known && need.Total() <= e.Available, layout: as, workload: w,
				})
			}
		}
	}
	return e, nil
}

// Layout is the model in the estimate's type.
func (e *Estimate) Layout() *Layout { return e.Rows[0].layout }

// AddSpeed enters a speed, and what it predicts for the rows of its type.
func (e *Estimate) AddSpeed(s *Speed) error {
	e.Speed = s
	for i := range e.Rows {
		r := &e.Rows[i]
		if r.Type != s.Type {
			continue
		}
		first, err := s.Predict(r.layout, r.workload, 0)
		if err != nil {
			return err
		}
		last, err := s.Predict(r.layout, r.workload, r.Context)
		if err != nil {
			return err
		}
		r.First, r.Last = &first, &last
	}
	return nil
}

// DeviceCount is a number of devices.
type DeviceCount struct {
	Precision string `json:"precision"`
	Weights   int64  `json:"weights"` // bytes
	Devices   int    `json:"devices"` // devices that hold the weights
	// WithReserve leaves a fifth of each device to the cache, activations and the rest.
	WithReserve int `json:"devices_with_reserve"`
}

// deviceReserve is the share of a device that is left to everything but weights: a rule of thumb of
// those who rent accelerators, which [Layout.Footprint] replaces where the workload is known.
const deviceReserve = 0.2

// CountDevices is how many devices of so many bytes, at least one, parameters need in FP16, INT8
// and INT4, at 2, 1 and ½ bytes each.
func CountDevices(parameters, device int64) []DeviceCount {
	b := precisions(parameters)
	usable := max(1, int64(float64(device)*(1-deviceReserve)))
	var ds []DeviceCount
	for _, d := range []struct {
		name  string
		bytes int64
	}{{"FP16", b.FP16}, {"INT8", b.INT8}, {"INT4", b.INT4}} {
		ds = append(ds, DeviceCount{d.name, d.bytes, int((d.bytes + device - 1) / device), int((d.bytes + usable - 1) / usable)})
	}
	return ds
}

// Choice is a known model that fits.
type Choice struct {
	Name   string  `json:"name"`
	About  string  `json:"about"`
	Total  int64   `json:"total"`  // parameters
	Active int64   `json:"active"` // parameters active for a token
	Memory int64   `json:"memory"` // bytes
	Rate   float64 `json:"tokens_per_s"`
}

// Choose lists the known models in the type of a speed that take at most so many bytes and make at
// least so many tokens a second, the largest first. The speed is that of the calibration: bytes of
// one model cost what those of another do. Models are left out whose rows or heads are no whole
// blocks of the type or of the cache's format.
func Choose(s *Speed, w Workload, memory int64, rate float64) ([]Choice, error) {
	var choices []Choice
	for _, name := range ShapeNames() {
		m, err := Known(name)
		if err != nil {
			return nil, err
		}
		if m, err = m.As(s.Type); err != nil {
			continue
		}
		at := w
		at.Context = min(w.Context, m.Config.NCtx)
		need, err := m.Footprint(at)
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
		n := m.Counts()
		choices = append(choices, Choice{name, m.About, n.Params, n.Active, need.Total(), p.Rate})
	}
	slices.SortStableFunc(choices, func(a, b Choice) int { return cmp.Compare(b.Total, a.Total) })
	return choices, nil
}
