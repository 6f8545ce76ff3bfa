package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
)

// The hosts that are asked where nothing else is set.
const (
	DefaultEndpoint = "https://huggingface.co"
	DefaultRegistry = "https://registry.ollama.ai"
)

// Client downloads models. Its fields may be set before its first use, and not after.
type Client struct {
	Stores   Stores
	Endpoint string // of Hugging Face or of a mirror
	Registry string // of Ollama
	Token    string // sent to the host of Endpoint alone
	Offline  bool   // refuse to use the network

	Parallel int           // ranges of a file fetched at once; 0 means 4
	Piece    int64         // bytes of a range; 0 means 8 MiB or more, by the size of the file
	Tries    int           // of a request that a server cannot serve now; 0 means 6
	Backoff  time.Duration // before the second try, doubled for further ones; 0 means a second
	Stall    time.Duration // that a server may be silent; 0 means 30 seconds

	// Waiting, if not nil, is called before a request is tried again.
	Waiting func(err error, wait time.Duration)
	// Resolve, Dial and Symlink are the system's where they are nil.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Symlink func(old, new string) error

	proxy   func(*http.Request) (*url.URL, error)
	once    sync.Once
	http    *http.Client
	mu      sync.Mutex
	private map[string]bool // hosts that were reached, and whether their addresses are private
}

// NewClient is a client as the environment says: HF_ENDPOINT, HF_TOKEN or the file of the token,
// HF_HUB_OFFLINE, and the proxies of the system.
func NewClient() *Client {
	c := &Client{Stores: FromEnv(), Endpoint: os.Getenv("HF_ENDPOINT"), Registry: os.Getenv("GOINFER_OLLAMA_REGISTRY"), Token: token(os.Getenv)}
	switch strings.ToUpper(os.Getenv("HF_HUB_OFFLINE")) {
	case "1", "ON", "YES", "TRUE":
		c.Offline = true
	}
	return c
}

// token is the token of the user: HF_TOKEN, or what `hf auth login` has stored.
func token(env func(string) string) string {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if t := strings.TrimSpace(env(name)); t != "" {
			return t
		}
	}
	file := env("HF_TOKEN_PATH")
	if file == "" {
		home := env("HF_HOME")
		if home == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return ""
			}
			home = filepath.Join(user, ".cache", "huggingface")
			if x := env("XDG_CACHE_HOME"); x != "" {
				home = filepath.Join(x, "huggingface")
			}
		}
		file = filepath.Join(home, "token")
	}
	data, err := readSmall(file, 4096)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// setup fills in what is left at its default.
func (c *Client) setup() {
	c.once.Do(func() {
		or := func(s *string, to string) {
			if *s == "" {
				*s = to
			}
			*s = strings.TrimRight(*s, "/")
		}
		or(&c.Endpoint, DefaultEndpoint)
		or(&c.Registry, DefaultRegistry)
		if c.Parallel <= 0 {
			c.Parallel = 4
		}
		if c.Tries <= 0 {
			c.Tries = 6
		}
		if c.Backoff <= 0 {
			c.Backoff = time.Second
		}
		if c.Stall <= 0 {
			c.Stall = 30 * time.Second
		}
		if c.Resolve == nil {
			c.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
				return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			}
		}
		if c.Dial == nil {
			c.Dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
		}
		if c.Symlink == nil {
			c.Symlink = os.Symlink
		}
		if c.proxy == nil {
			c.proxy = http.ProxyFromEnvironment
		}
		c.private = map[string]bool{}
		c.http = &http.Client{
			Transport: &http.Transport{
				Proxy: c.proxy, DialContext: c.dial, TLSHandshakeTimeout: c.Stall, ResponseHeaderTimeout: c.Stall, ForceAttemptHTTP2: true,
				MaxIdleConnsPerHost: c.Parallel, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 1 << 20, DisableCompression: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
}

// publicOnly marks requests that a server elsewhere has asked for: they must not reach what only
// this machine, or its network, can.
type publicOnly struct{}

var errPrivate = errors.New("a redirect from a public server to a private address is not followed")

// Networks that are no public ones, besides those that package netip knows: shared by the customers
// of a provider (RFC 6598), and for benchmarks of networks (RFC 2544).
var (
	sharedNet    = netip.MustParsePrefix("100.64.0.0/10")
	benchmarkNet = netip.MustParsePrefix("198.18.0.0/15")
)

// private reports whether an address is reached from here and not from everywhere.
func private(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsGlobalUnicast() || a.IsPrivate() || sharedNet.Contains(a) || benchmarkNet.Contains(a)
}

// dial connects to an address that is looked up once, so that what was checked is what is reached.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = c.Resolve(ctx, host); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	var errs []error
	for _, a := range addrs {
		if private(a) && ctx.Value(publicOnly{}) == host { // not so of a proxy
			return nil, errPrivate
		}
		conn, err := c.Dial(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			c.mu.Lock()
			c.private[addr] = private(a)
			c.mu.Unlock()
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// wasPrivate reports whether the host of an address was found at a private one.
func (c *Client) wasPrivate(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.private[net.JoinHostPort(u.Hostname(), port)]
}

// request is what a server is asked for.
type request struct {
	method string
	url    string
	header http.Header
	stay   bool // return a redirect to another host in place of following it
}

const maxRedirects = 10

// send sends a request and follows redirects: to http and https alone, never from https to http,
// and not from a public server to a private address. The token goes to the host of the endpoint
// alone.
func (c *Client) send(ctx context.Context, q request) (*http.Response, error) {
	c.setup()
	if c.Offline {
		return nil, fmt.Errorf("%s: the network is not used (--offline or HF_HUB_OFFLINE)", remote.Shown(q.url))
	}
	u, err := url.Parse(q.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: want an address that begins with https://", remote.Shown(q.url))
	}
	endpoint, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("%s: no address of a server: %w", remote.Shown(c.Endpoint), err)
	}
	method := q.method
	if method == "" {
		method = http.MethodGet
	}
	public := false // a server elsewhere has led here
	for hop := 0; ; hop++ {
		ctx := ctx
		if public {
			ctx = context.WithValue(ctx, publicOnly{}, u.Hostname())
		}
		r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
		if err != nil {
			return nil, err
		}
		for key, values := range q.header {
			r.Header[key] = values
		}
		// Ranges and hashes are of the file, not of what it is packed in.
		r.Header.Set("Accept-Encoding", "identity")
		r.Header.Set("User-Agent", "goinfer")
		if c.Token != "" && u.Host == endpoint.Host && u.Scheme == endpoint.Scheme {
			r.Header.Set("Authorization", "Bearer "+c.Token)
		}
		resp, err := c.http.Do(r)
		if err != nil {
			var e *url.Error
			if errors.As(err, &e) {
				err = e.Err // the address is named once, without what is secret in it
			}
			return nil, fault.In(remote.Shown(u.String()), err)
		}
		if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
			resp.Body.Close()
			return nil, fmt.Errorf("%s: the answer is packed (%.40q), which was not asked for", remote.Shown(u.String()), enc)
		}
		location := resp.Header.Get("Location")
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, nil
		}
		next, err := u.Parse(location)
		if err == nil && location != "" && q.stay && next.Host != u.Host {
			return resp, nil
		}
		resp.Body.Close()
		if err := c.follow(u, next, location, hop, err); err != nil {
			return nil, fmt.Errorf("%s: %w", remote.Shown(u.String()), err)
		}
		if next.Host != u.Host && !c.wasPrivate(u) {
			public = true
		}
		u = next
	}
}

// follow checks a redirect.
func (c *Client) follow(from, to *url.URL, location string, hop int, err error) error {
	switch {
	case err != nil || location == "" || to.Host == "":
		return fmt.Errorf("a redirect to no address (%.100q)", remote.Shown(location))
	case to.Scheme != "http" && to.Scheme != "https":
		return fmt.Errorf("a redirect to %.20s: want https", to.Scheme)
	case from.Scheme == "https" && to.Scheme == "http":
		return errors.New("a redirect from https to http is not followed")
	case strings.ContainsFunc(to.Host, func(r rune) bool { return r >= 0x80 }):
		// An address of fullwidth digits would be mapped to a private one after it was checked.
		return fmt.Errorf("a redirect to the host %.100q: want letters of ASCII", to.Host)
	case hop >= maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case c.wasPrivate(from) || from.Host == to.Host:
		return nil
	case c.wasPrivate(to): // its connection may be open still, and is not checked another time
		return errPrivate
	}
	// A proxy may stand between: what shows by itself is refused here.
	host := strings.ToLower(strings.TrimSuffix(to.Hostname(), "."))
	if a, err := netip.ParseAddr(host); err == nil && private(a) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return errPrivate
	}
	return nil
}

// Kinds of refusals.
var (
	// ErrGated says that a repository wants its terms accepted.
	ErrGated = errors.New("the repository is gated")
	// errAgain marks what may succeed later.
	errAgain = errors.New("try again")
	// errChanged says that a file is no longer what it was.
	errChanged = errors.New("the file has changed on the server")
)

// get sends a request as often as it takes, and returns the answer if its status is one of want.
func (c *Client) get(ctx context.Context, n Name, q request, want ...int) (*http.Response, error) {
	c.setup()
	wait := c.Backoff
	for try := 1; ; try++ {
		resp, err := c.send(ctx, q)
		var after time.Duration
		if err == nil {
			for _, status := range want {
				if resp.StatusCode == status {
					return resp, nil
				}
			}
			err = c.refusal(n, q.url, resp)
			after = retryAfter(resp)
			resp.Body.Close()
		} else if ctx.Err() == nil && !errors.Is(err, errPrivate) && isNetwork(err) {
			err = fault.Of(errAgain, err)
		}
		if ctx.Err() != nil {
			return nil, fault.Cancelled(ctx)
		}
		if !errors.Is(err, errAgain) || try >= c.Tries {
			return nil, err
		}
		if err := c.pause(ctx, err, max(wait, after)); err != nil {
			return nil, err
		}
		wait = min(2*wait, time.Minute)
	}
}

// isNetwork reports whether an error is one of the network, which another try may not meet.
func isNetwork(err error) bool {
	var n net.Error
	if dns := new(net.DNSError); errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*net.OpError))
}

// pause waits before another try.
func (c *Client) pause(ctx context.Context, why error, d time.Duration) error {
	if c.Waiting != nil {
		c.Waiting(why, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fault.Cancelled(ctx)
	}
}

// retryAfter is what a server asks for, a minute at most.
func retryAfter(r *http.Response) time.Duration {
	n, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Minute)
}

// refusal is the error for a status that was not wanted.
func (c *Client) refusal(n Name, address string, r *http.Response) error {
	status := r.Status[:min(len(r.Status), 80)]
	code := r.Header.Get("X-Error-Code")
	about := func(kind error, format string, args ...any) error {
		return fault.In(n.String(), fault.Of(kind, fmt.Errorf(format, args...)))
	}
	switch {
	case r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= 500:
		return fault.In(remote.Shown(address), fault.Of(errAgain, fmt.Errorf("the server cannot serve it now (status %s)", status)))
	case code == "GatedRepo":
		return about(ErrGated, "the repository is gated: accept its terms at %s/%s, and set HF_TOKEN to a token of yours (status %s)", c.Endpoint, n.id(), status)
	case code == "RevisionNotFound":
		return about(fs.ErrNotExist, "the repository has no revision %q (status %s)", n.revision(), status)
	case code == "EntryNotFound":
		return about(fs.ErrNotExist, "the repository has no such file: %s (status %s)", remote.Shown(address), status)
	case code == "RepoNotFound" || r.StatusCode == http.StatusUnauthorized && code == "" && !n.Ollama:
		return about(fs.ErrNotExist, "there is no such repository, or it is private: then set HF_TOKEN to a token that may read it (status %s)", status)
	case r.StatusCode == http.StatusNotFound && n.Ollama:
		return about(fs.ErrNotExist, "the registry has no such model (status %s)", status)
	case r.StatusCode == http.StatusNotFound:
		return about(fs.ErrNotExist, "the server has no such file: %s (status %s)", remote.Shown(address), status)
	case r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized:
		return about(fs.ErrPermission, "the server does not give it to everyone: %s (status %s)", remote.Shown(address), status)
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fault.In(remote.Shown(address), fmt.Errorf("%w: it is shorter than it was (status %s)", errChanged, status))
	}
	return fault.In(remote.Shown(address), fmt.Errorf("the server answers with status %s", status))
}

// fetchSmall fetches a file of at most most bytes.
func (c *Client) fetchSmall(ctx context.Context, n Name, q request, most int64) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*c.stall())
	defer cancel()
	resp, err := c.get(ctx, n, q, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("want at most %d bytes, found more", most)
	}
	if err == nil && resp.ContentLength >= 0 && int64(len(data)) != resp.ContentLength {
		err = fmt.Errorf("want %d bytes, found %d: %w", resp.ContentLength, len(data), io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, nil, fault.In(remote.Shown(q.url), err)
	}
	return data, resp.Header, nil
}

func (c *Client) stall() time.Duration {
	c.setup()
	return c.Stall
}
