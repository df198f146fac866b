package heal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Docker asks the engine by its socket. It can do no more than look, restart, and run a program in a container.
type Docker struct{ client *http.Client }

// Times for the engine. A restart waits for the service to end, at most as long as its container says.
const (
	askTimeout     = 20 * time.Second
	restartTimeout = 5 * time.Minute
	maxAnswer      = 64 << 20
)

// NewDocker is for an engine that listens on a socket of this host.
func NewDocker(socket string) Docker {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return Docker{&http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1}}}
}

// Labels that compose puts on its containers.
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelNeeds   = "com.docker.compose.depends_on" // mariadb:service_healthy:false,…
	labelOneOff  = "com.docker.compose.oneoff"
)

// Containers is as Engine wants it.
func (d Docker) Containers(ctx context.Context, project string) ([]Container, error) {
	filter, err := json.Marshal(map[string][]string{"label": {labelProject + "=" + project, labelOneOff + "=False"}})
	if err != nil {
		return nil, err
	}
	var found []struct {
		ID            string `json:"Id"`
		State, Status string
		Labels        map[string]string
	}
	if err := d.ask(ctx, "/containers/json?all=1&filters="+url.QueryEscape(string(filter)), &found); err != nil {
		return nil, err
	}
	var list []Container
	for _, f := range found {
		c := Container{ID: f.ID, Service: f.Labels[labelService], State: f.State, Health: health(f.Status)}
		for need := range strings.SplitSeq(f.Labels[labelNeeds], ",") {
			if name, _, ok := strings.Cut(need, ":"); ok {
				c.Needs = append(c.Needs, name)
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// health reads it from a line such as "Up 3 minutes (unhealthy)".
func health(status string) string {
	for _, h := range []string{"unhealthy", "healthy", "health: starting"} {
		if strings.HasSuffix(status, "("+h+")") {
			return strings.TrimPrefix(h, "health: ")
		}
	}
	return ""
}

// Complaint is as Engine wants it.
func (d Docker) Complaint(ctx context.Context, id string) (string, error) {
	var c struct {
		State struct {
			Health struct {
				Log []struct {
					ExitCode int
					Output   string
				}
			}
		}
	}
	if err := d.ask(ctx, "/containers/"+id+"/json", &c); err != nil {
		return "", err
	}
	for _, l := range slices.Backward(c.State.Health.Log) {
		if l.ExitCode != 0 {
			said := strings.Join(strings.Fields(l.Output), " ")
			return fmt.Sprintf("exit code %d: %.300s", l.ExitCode, said), nil
		}
	}
	return "", nil
}

// Restart is as Engine wants it.
func (d Docker) Restart(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	_, err := d.post(ctx, "/containers/"+id+"/restart", nil)
	return err
}

// Run runs a program in a container, which must end by itself, and returns the first 64 MiB of what it prints.
func (d Docker) Run(ctx context.Context, id string, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// With a terminal the answer is the plain output.
	answer, err := d.post(ctx, "/containers/"+id+"/exec", map[string]any{"AttachStdout": true, "Tty": true, "Cmd": argv})
	if err != nil {
		return nil, err
	}
	var made struct {
		ID string `json:"Id"`
	}
	if err := json.Unmarshal(answer, &made); err != nil {
		return nil, fmt.Errorf("ask Docker: %w", err)
	}
	out, err := d.post(ctx, "/exec/"+made.ID+"/start", map[string]any{"Tty": true})
	if err != nil {
		return nil, err
	}
	var ended struct{ ExitCode int }
	if err := d.ask(ctx, "/exec/"+made.ID+"/json", &ended); err != nil {
		return nil, err
	}
	if ended.ExitCode != 0 {
		return nil, fmt.Errorf("%s: exit code %d: %.300s", argv[0], ended.ExitCode, out)
	}
	return out, nil
}

func (d Docker) ask(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("ask Docker: %w", err)
	}
	return nil
}

func (d Docker) post(ctx context.Context, path string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return d.do(ctx, http.MethodPost, path, data)
}

func (d Docker) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask Docker: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("ask Docker: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("docker answers %s: %.300s", resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
}
