package par

import "sync"

// registry holds the teams that Shared has lent, by number of threads.
type registry struct {
	sync.Mutex
	teams map[int]*team
}

var shared = registry{teams: map[int]*team{}}

// Shared returns the process's pool of so many threads: all that hold it at a time share its
// goroutines and wait for each other, so that several models do not compete for the processor. Each
// holder gets a value of its own and gives it back with [Pool.Close].
func Shared(threads int) *Pool {
	shared.Lock()
	defer shared.Unlock()
	t := shared.teams[threads]
	if t == nil {
		t = newTeam(threads)
		shared.teams[threads] = t
	}
	t.refs++
	return &Pool{team: t}
}

// leave counts one holder less and reports whether the team is to be ended.
func (r *registry) leave(t *team) bool {
	r.Lock()
	defer r.Unlock()
	if t.refs == 0 {
		return true // a pool of New
	}
	t.refs--
	if t.refs > 0 {
		return false
	}
	delete(r.teams, t.threads)
	return true
}
