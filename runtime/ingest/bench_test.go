package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailplan/mailplan/runtime/config"
	"github.com/mailplan/mailplan/test/mailstore"
)

// BenchmarkIngest is the cost of the endpoint alone: one request after another on each connection, into
// a mail store that does nothing.
func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{4 << 10, 75 << 10, 1 << 20, 25 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			conf := settings(b)
			conf.LMTP = &config.LMTP{Address: mailstore.StartSink(b)}
			users := make([]string, 64)
			for i := range users {
				users[i] = fmt.Sprintf(`"u%d"`, i)
			}
			table := fmt.Sprintf(`{"domains": {"example.com": {"users": [%s]}}}`, strings.Join(users, ","))
			if err := os.WriteFile(conf.Table, []byte(table), 0o600); err != nil {
				b.Fatal(err)
			}
			var connections atomic.Int64
			e := start(b, conf)
			body := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789\r\n", size/72)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				c, err := net.Dial("tcp", e.Listener.Addr().String())
				if err != nil {
					b.Error(err)
					return
				}
				defer c.Close()
				br := bufio.NewReader(c)
				to := fmt.Sprintf("u%d@", connections.Add(1)%64)
				for n := 0; pb.Next(); n++ {
					head := fmt.Sprintf("Message-ID: <%p-%d@b>\r\n\r\n", br, n)
					request := net.Buffers{fmt.Appendf(nil, "POST /v1/ingest HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s",
						strings.Replace(envelopeLines, "alice@", to, 1), len(head)+len(body), head), []byte(body)}
					request.WriteTo(c)
					resp, err := http.ReadResponse(br, nil)
					if err != nil || resp.StatusCode != 200 {
						b.Errorf("%v %v", resp, err)
						return
					}
					io.Copy(io.Discard, resp.Body)
				}
			})
		})
	}
}
