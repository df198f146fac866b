package cloudflare

import "github.com/mailplan/mailplan/compiler/model"

// Queue is one queue and the Worker that consumes it.
type Queue struct {
	Name          string   `json:"name"`
	RetentionDays int      `json:"retentionDays"`
	Consumer      Consumer `json:"consumer"`
	From          string   `json:"from"`
}

// Consumer is how a queue's messages come to the script.
type Consumer struct {
	Script          string `json:"script"`
	DeadLetterQueue string `json:"deadLetterQueue,omitempty"`
	BatchSize       int    `json:"batchSize"`
	MaxRetries      int    `json:"maxRetries"`
	MaxWaitMS       int    `json:"maxWaitMS"`
	// MaxConcurrency is 1: deliveries stay in order, and a host that comes back is not run over.
	MaxConcurrency int `json:"maxConcurrency"`
	RetryDelay     int `json:"retryDelay"` // seconds, where the script asks for none
}

// Bucket holds the spooled messages.
type Bucket struct {
	Name string `json:"name"`
	// DeleteAfterDays outlasts both queues, so that a dead letter's message is still there when
	// somebody reads the alarm, and nothing stays for ever.
	DeleteAfterDays int    `json:"deleteAfterDays"`
	From            string `json:"from"`
}

func queuesOf(s *model.Site) []Queue {
	spool := s.Edge.Spool
	if !spool.Enabled {
		return nil
	}
	return []Queue{
		{Name: spool.Queue, RetentionDays: spool.RetentionDays, From: "edge.spool.queue", Consumer: Consumer{
			Script: s.Edge.Worker.Name, DeadLetterQueue: spool.DeadLetterQueue(), BatchSize: spoolBatch,
			MaxRetries: spool.MaxRetries, MaxWaitMS: 1 * milliPerSecond, MaxConcurrency: 1, RetryDelay: firstRetrySec}},
		{Name: spool.DeadLetterQueue(), RetentionDays: spool.RetentionDays, From: "edge.spool.queue", Consumer: Consumer{
			Script: s.Edge.Worker.Name, BatchSize: spoolBatch,
			MaxRetries: deadRetries, MaxWaitMS: 5 * milliPerSecond, MaxConcurrency: 1, RetryDelay: deadRetrySec}},
	}
}

func bucketOf(s *model.Site) *Bucket {
	spool := s.Edge.Spool
	if !spool.Enabled {
		return nil
	}
	return &Bucket{Name: spool.Bucket, DeleteAfterDays: spool.DeleteAfterDays(), From: "edge.spool.bucket"}
}

// RetryCap is the longest delay between two tries, in seconds, with which doubling delays use up the
// retries just when the queue would forget the message: no outage that the queue can
// outlast makes a dead letter. The script waits min(cap, 60 * 2^(attempt-1)).
func RetryCap(spool model.Spool) int {
	const margin = 10 // per cent of the retention, for deliveries and batches themselves
	whole := spool.RetentionDays * secondsPerDay * (100 - margin) / 100
	low, high := firstRetrySec, maxQueueDelay
	for low < high {
		mid := (low + high) / 2
		if patience(spool.MaxRetries, mid) < whole {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// patience is how many seconds all retries take with a cap.
func patience(retries, longest int) int {
	sum, delay := 0, firstRetrySec
	for range retries {
		sum += min(delay, longest)
		delay = min(2*delay, maxQueueDelay)
	}
	return sum
}
